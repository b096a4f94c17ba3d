"""`mars2 view` as a command, and the runs that `mars2 solve --out` keeps for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from view_kit import grow, settings

from mars2.cli.main import main


def run(*argv: str) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in argv])
    return int(ended.value.code or 0)


def test_the_page_lies_in_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grow(tmp_path, 5, settings())
    assert run("view", str(tmp_path), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    page = tmp_path / "view.html"
    assert said == {"out": str(page), "trees": 1, "bytes": page.stat().st_size}
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_data_goes_to_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grow(tmp_path, 3, settings())
    grow(tmp_path, 3, settings(), tree="eval/team/P2")
    assert run("view", str(tmp_path), "--format", "json", "--problem", "P2") == 0
    assert [t["id"] for t in json.loads(capsys.readouterr().out)["trees"]] == ["eval/team/P2"]
    assert run("view", str(tmp_path), "--format", "mermaid", "--tree", "*1") == 0
    assert capsys.readouterr().out.count("-->") == 3
    assert run("view", str(tmp_path), "--out", "-") == 0
    assert "</html>" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--problem", "P9"], "has no tree like P9"),
        (["--live", "--out", "x.html"], "leave out --out"),
        (["--live", "--format", "dot"], "leave out --out"),
        (["--port", "80"], "goes with --live"),
        (["--format", "png"], "Invalid value"),
    ],
)
def test_what_cannot_be_used_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    grow(tmp_path, 2, settings())
    before = sorted(tmp_path.iterdir())
    assert run("view", str(tmp_path), *options) == 2
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_a_solved_problem_can_be_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "agent.py").write_text(
        "def answer(messages, seed):\n"
        "    good = 'Your previous program' in messages[-1].content\n"
        "    return '```python\\n' + ('print(input()[::-1])' if good else 'print(1)') + '\\n```'\n"
    )
    (tmp_path / "reverse.md").write_text("Print the line backwards.")
    (tmp_path / "tests.json").write_text(
        json.dumps([{"kind": "stdin", "input": "abc\n", "expected": "cba\n"}])
    )
    out = tmp_path / "run"
    agent = f"one=scripted:{tmp_path / 'agent.py'}"
    argv = [str(tmp_path / "reverse.md"), "--tests", str(tmp_path / "tests.json")]
    argv += ["--agent", agent, "--budget", "12", "--out", str(out)]
    assert run("solve", *argv) == 0
    assert json.loads((out / "manifest.json").read_text())["status"] == "finished"
    capsys.readouterr()
    assert run("view", str(out), "--format", "json") == 0
    value = json.loads(capsys.readouterr().out)
    (tree,) = value["trees"]
    assert value["run"]["kind"] == "solve"
    chosen = next(n for n in tree["nodes"] if n["node_id"] == tree["selected"])
    assert chosen["action"] == "refine"
    assert chosen["verdict"]["status"] == "passed"
    assert tree["selected_passed"] is True
    assert run("solve", *argv) == 2  # a run is not overwritten
    assert "is not empty" in capsys.readouterr().err
