"""Code and tests in, verdict out: programs run as real processes behind walls."""

from __future__ import annotations

from mars2.config import VerifierConfig
from mars2.verifier.interface import AnyVerifier
from mars2.verifier.level import Isolation, isolation_level
from mars2.verifier.verifier import Verifier, verify_sync

__all__ = [
    "AnyVerifier",
    "Isolation",
    "Verifier",
    "isolation_level",
    "make_verifier",
    "verify_sync",
]


def make_verifier(config: VerifierConfig) -> AnyVerifier:
    """The verifier for `config.backend`. Raises ConfigError if there is no such back end."""
    if config.backend.startswith(("http://", "https://")):
        from mars2.verifier.remote import RemoteVerifier

        return RemoteVerifier(config)
    return Verifier(config)
