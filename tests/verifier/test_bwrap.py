"""The back end that starts every worker inside bubblewrap."""

from __future__ import annotations

import shutil

import pytest

from mars2.config import VerifierConfig
from mars2.errors import ConfigError
from mars2.types import Problem, Status, StdinTest
from mars2.verifier import Verifier, make_verifier

CONFIG = VerifierConfig(workers=1, backend="bwrap", cache="off")
PROBLEM = Problem(id="p", statement="", private_tests=[StdinTest(input="a\n", expected="a\n")])


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap (bwrap)")
async def test_programs_are_judged_inside_bubblewrap() -> None:
    async with make_verifier(CONFIG) as verifier:
        assert (await verifier.verify(PROBLEM, "print(input())")).ok
        wrong = await verifier.verify(PROBLEM, "print(1)")
        assert wrong.status is Status.WRONG_ANSWER


def test_without_bubblewrap_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match="install bubblewrap"):
        Verifier(CONFIG)


def test_an_unknown_back_end_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"verifier\.backend is 'nowhere'"):
        make_verifier(VerifierConfig(backend="nowhere"))
