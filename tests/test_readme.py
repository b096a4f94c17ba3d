"""What README promises is what the repository does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from mars2.cli.main import COMMANDS, cli
from mars2.cli.options import Chosen
from mars2.cli.quickstart import packaged

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)


def commands(text: str) -> list[list[str]]:
    """`mars2 …` lines of the bash blocks of a page, split as a shell does."""
    found = []
    for block in re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("mars2 "):
                found.append(shlex.split(line, comments=True)[1:])
    return found


def test_ci_runs_exactly_the_second_command() -> None:
    assert BLOCKS[1].strip() in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_first_command_ends_with_the_quickstart() -> None:
    assert BLOCKS[0].strip().endswith("mars2 quickstart")


@pytest.mark.parametrize("page", DOCS, ids=lambda p: p.name)
def test_documented_commands_exist_with_their_options(page: Path) -> None:
    for argv in commands(page.read_text(encoding="utf-8")):
        command: click.Command | None = cli.get_command(click.Context(cli), argv[0])
        assert command is not None, argv
        while isinstance(command, click.Group):
            argv = argv[1:]
            command = command.get_command(click.Context(command), argv[0])
            assert command is not None, argv
        known = {o for p in command.params for o in p.opts}
        used = {a.partition("=")[0] for a in argv if a.startswith("--")}
        assert used <= known, argv


def test_every_command_has_help() -> None:
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        assert command.help


def test_the_packaged_settings_are_valid() -> None:
    config = Chosen().resolve(packaged())
    assert len({a.policy for a in config.agents}) == 2
