"""Code and tests in, verdict out: programs run as real processes behind walls."""

from mars2.verifier.level import Isolation, isolation_level
from mars2.verifier.verifier import Verifier, verify_sync

__all__ = ["Isolation", "Verifier", "isolation_level", "verify_sync"]
