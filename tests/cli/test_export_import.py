"""`mars2 export` and `mars2 import`: out of a run, in again, the same verdicts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from background import command, wait_for

PROBLEMS = [
    {
        "id": f"double/{n}",
        "statement": f"Problem {n}.",
        "public_tests": [{"kind": "stdin", "input": f"{n}\n", "expected": f"{2 * n}\n"}],
        "private_tests": [{"kind": "stdin", "input": f"{k}\n", "expected": f"{2 * k}\n"}],
    }
    for n, k in ((1, 5), (2, 6), (3, 7))
]
# Right; right on the public test; wrong; crashes; no program.
AGENT = """
import re
CODES = [
    "print(2 * int(input()))", "n = int(input())\\nprint(2 * n if n < 5 else 0)", "print(0)",
    "raise ValueError", None,
]
def answer(messages, seed):
    if seed % 7 == 3 and {lossy}:
        raise RuntimeError("lost")
    code = CODES[seed // 7 % 5]
    return "I do not know." if code is None else "```python\\n" + code + "\\n```"
"""


def lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def results(run: Path) -> dict[str, Any]:
    return json.loads((run / "results.json").read_text())


def evaluate(mars2, tmp_path: Path, *options: object, lossy: bool = False) -> dict[str, Any]:
    lines(tmp_path / "p.jsonl", PROBLEMS)
    (tmp_path / "agent.py").write_text(AGENT.format(lossy=lossy))
    agents = [f"--agent={name}=scripted:agent.py" for name in ("a", "b")]
    done = mars2(
        "eval", "jsonl:p.jsonl", *agents, "--samples", 5, "--budget", 4, "--seed", 4,
        "--out", "run", "--json", *options,
    )  # fmt: skip
    assert done.code == 0, done.err
    return results(tmp_path / "run")["outcomes"]


@pytest.fixture
def run(mars2, tmp_path: Path) -> dict[str, Any]:
    """The outcomes of an evaluation in `run`."""
    return evaluate(mars2, tmp_path)


@pytest.mark.parametrize(("format", "file"), [("lcb", "c.json"), ("evalplus", "c.jsonl")])
def test_there_and_back(mars2, tmp_path: Path, run, format: str, file: str) -> None:
    done = mars2("export", "run", "--format", format, "--agent", "b", "--out", file, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    attempts = run["attempts"]["b"]
    assert 0 < sum(map(sum, attempts.values())) < 15  # else the agent is no test
    assert (told["problems"], told["samples"], told["padded"]) == (3, 15, {})
    done = mars2("import", file, "jsonl:p.jsonl", "--format", format, "--out", "back", "--json")
    assert done.code == 0, done.err
    again = json.loads(done.out)
    back = results(tmp_path / "back")
    assert back["outcomes"]["attempts"] == {"c": attempts}
    before = results(tmp_path / "run")["agents"]["b"]
    assert back["agents"]["c"] == again["agents"]["c"] == before
    assert told["expected"]["pass@1"] == before["pass@1"]
    assert told["expected"]["pass@5"] == before["pass@5"]
    assert back["problem_info"]["double/1"]["format"] == "stdin"
    # a run like any other: out again, the same file; a report
    other = f"again.{file}"
    assert mars2("export", "back", "--format", format, "--out", other).code == 0
    assert (tmp_path / other).read_bytes() == (tmp_path / file).read_bytes()
    assert mars2("report", "back", "--no-figures").code == 0


def test_answers_and_nodes_of_the_trees(mars2, tmp_path: Path, run) -> None:
    done = mars2(
        "export", "run", "--format", "lcb", "--what", "selected", "--out", "s.json", "--json"
    )
    summary = results(tmp_path / "run")["team"]
    assert json.loads(done.out)["expected"] == {"pass@1": summary["pass@1(mcts)"]}
    done = mars2("import", "s.json", "jsonl:p.jsonl", "--format", "lcb", "--json")
    assert json.loads(done.out)["agents"]["s"]["pass@1"] == summary["pass@1(mcts)"]

    done = mars2("export", "run", "--format", "lcb", "--what", "all-nodes", "--out", "n.json")
    assert "expected" not in done.out  # nodes of a tree are not independent
    mars2("import", "n.json", "jsonl:p.jsonl", "--format", "lcb", "--out", "n")
    found = results(tmp_path / "n")["outcomes"]["attempts"]["n"]
    assert {p: [n + 1 for n, ok in enumerate(of) if ok] for p, of in found.items()} == {
        p: sorted(tree["passed"]) for p, tree in run["trees"].items()
    }


def test_a_run_of_an_older_version_selects_again(mars2, tmp_path: Path, run) -> None:
    mars2("export", "run", "--format", "lcb", "--what", "selected", "--out", "s.json")
    data = results(tmp_path / "run")
    for tree in data["outcomes"]["trees"].values():
        del tree["selected_at"], tree["passed"]
    (tmp_path / "run" / "results.json").write_text(json.dumps(data))
    mars2("export", "run", "--format", "lcb", "--what", "selected", "--out", "t.json")
    assert (tmp_path / "t.json").read_bytes() == (tmp_path / "s.json").read_bytes()


def test_lost_attempts_are_padded_and_said_so(mars2, tmp_path: Path) -> None:
    attempts = evaluate(mars2, tmp_path, lossy=True)["attempts"]["a"]
    most = max(map(len, attempts.values()))
    lacking = {p: most - len(of) for p, of in attempts.items() if len(of) < most}
    assert lacking  # else the agent is no test
    options = ("--format", "lcb", "--agent", "a", "--out", "c.json")
    told = json.loads(mars2("export", "run", *options, "--json").out)
    assert told["padded"] == lacking
    expected = sum(map(sum, attempts.values())) / (3 * most)
    assert told["expected"]["pass@1"] == pytest.approx(expected, abs=1e-12)
    assert (
        "are missing in the run; one that fails stands in" in mars2("export", "run", *options).out
    )
    done = mars2("import", "c.json", "jsonl:p.jsonl", "--format", "lcb", "--json")
    assert json.loads(done.out)["agents"]["c"]["pass@1"] == pytest.approx(expected, abs=1e-12)
    # the evaluator's whole set, of which the run has a part
    lines(tmp_path / "more.jsonl", [*PROBLEMS, PROBLEMS[0] | {"id": "other"}])
    told = json.loads(mars2("export", "run", *options, "--problems=jsonl:more.jsonl", "--json").out)
    assert told["padded"] == lacking | {"other": most}
    assert mars2("import", "c.json", "jsonl:more.jsonl", "--format", "lcb").code == 0


def test_what_cannot_be_exported(mars2, tmp_path: Path, run) -> None:
    def refused(*options: object) -> str:
        done = mars2("export", *options)
        assert done.code == 2
        assert not (tmp_path / "c.json").exists()
        return done.err

    lcb = ("--format", "lcb", "--out", "c.json")
    assert "has the agents a, b; say whose" in refused("run", *lcb)
    assert "has no such agent, only a, b" in refused("run", *lcb, "--agent", "z")
    assert "are the whole team's" in refused("run", *lcb, "--agent", "a", "--what", "selected")
    assert "give --problems SOURCE" in refused("run", "--format", "humaneval", "--out", "c.jsonl")
    assert "nowhere is not a directory" in refused("nowhere", *lcb)
    assert "has no results.json of `mars2 eval`" in refused(".", *lcb)
    data = results(tmp_path / "run")
    data["outcomes"]["attempts"]["a"]["double/2"].pop()
    (tmp_path / "run" / "results.json").write_text(json.dumps(data))
    assert "do not agree on a's attempts at double/2" in refused("run", *lcb, "--agent", "a")
    (tmp_path / "run" / "results.json").unlink()
    assert "goes on with --resume" in refused("run", *lcb, "--agent", "a")


def test_what_cannot_be_imported_leaves_nothing(mars2, tmp_path: Path) -> None:
    lines(tmp_path / "p.jsonl", PROBLEMS)
    rows = [{"question_id": p["id"], "code_list": ["print()"]} for p in PROBLEMS]
    (tmp_path / "c.json").write_text(json.dumps(rows[:2]))

    def refused(*options: object) -> str:
        done = mars2("import", "c.json", "jsonl:p.jsonl", "--format=lcb", "--out=back", *options)
        assert done.code == 2
        assert not (tmp_path / "back").exists()
        return done.err

    assert "missing: 'double/3'" in refused()
    (tmp_path / "c.json").write_text(json.dumps(rows)[:-9])
    assert "row 3: is not valid JSON" in refused()
    (tmp_path / "c.json").write_text(json.dumps(rows))
    assert "trees are called that" in refused("--agent", "team")
    assert "only letters" in refused("--agent", "a b")
    assert "verifier.nonsense" in refused("--set", "verifier.nonsense=1")
    assert "is not a run that can be resumed" in refused("--resume")
    assert mars2("import", "c.json", "jsonl:p.jsonl", "--format=lcb", "--resume").code == 2


def test_a_killed_import_goes_on(mars2, tmp_path: Path) -> None:
    lines(tmp_path / "p.jsonl", PROBLEMS)
    codes = [f"print(2 * int(input()))  # {n}" for n in range(6)]
    codes[3] = "import time\ntime.sleep(99)"
    rows = [{"question_id": p["id"], "code_list": codes} for p in PROBLEMS]
    (tmp_path / "c.json").write_text(json.dumps(rows))
    options = [
        "import", "c.json", "jsonl:p.jsonl", "--format=lcb", "--workers=1", "--out=back",
        "--set=verifier.time_limit_s=0.5", "--json",
    ]  # fmt: skip
    process = subprocess.Popen(command(*options), cwd=tmp_path, stdout=subprocess.DEVNULL)
    journal = tmp_path / "back" / "journal.jsonl"
    wait_for(journal, 7, process)  # the header, then two lines a program
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with open(journal, "ab") as file:
        file.write(b'{"event":"ask","tree":"ev')  # torn
    kept = journal.read_bytes().rsplit(b"\n", 1)[0]
    assert "is not empty; continue it with --resume" in mars2(*options).err
    done = mars2(*options, "--resume", "--set=verifier.time_limit_s=2")
    assert "verifier.time_limit_s: 0.5 -> 2.0" in done.err
    done = mars2(*options, "--resume")
    assert done.code == 0, done.err
    outcome = [True, True, True, False, True, True]
    attempts = results(tmp_path / "back")["outcomes"]["attempts"]["c"]
    assert attempts == dict.fromkeys([p["id"] for p in PROBLEMS], outcome)
    assert journal.read_bytes().startswith(kept)  # nothing is judged twice
    assert journal.read_bytes().count(b'{"event":"tell"') == 18
    (tmp_path / "c.json").write_text(json.dumps(rows, indent=1))
    assert "was started on another file" in mars2(*options, "--resume").err
