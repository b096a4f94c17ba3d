"""`mars2 reward-model collect`, `train` and `score` on real programs and a real micro model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mars2.search.journal import Journal
from mars2.types import FunctionalTest, Generation, Node, Problem, Status, Verdict

KINDS = ("sum", "max", "min", "len")
COUNT = 24


def problem(index: int) -> Problem:
    return Problem(
        id=f"p{index}",
        statement=f"Write f(a): the {KINDS[index % 4]} of list number {index}.",
        entry_point="f",
        public_tests=[FunctionalTest(args=[[1]], expected=1)],
        private_tests=[FunctionalTest(args=[[3, 2]], expected=[5, 3, 2, 2][index % 4])],
    )


def codes(index: int) -> list[str | None]:
    return [*(f"def f(a):return {kind}(a)" for kind in KINDS), "def f(a):return a", None]


def write_journal(path: Path) -> Path:
    with Journal.open(path, {"config_hash": "x"}) as journal:
        for index in range(COUNT):
            tree = journal.tree(f"tree{index}")
            for number, code in enumerate(codes(index), 1):
                verdict = Verdict(problem_id=f"p{index}", status=Status.PASSED, passed=1, total=1)
                text = Generation(text=code or "")
                tree.tell(
                    Node(
                        tree.tree_id, number, None, 1, "a", "generate", (), text, code, verdict, 1.0
                    )
                )
    return path


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(problem(i).model_dump_json() + "\n" for i in range(COUNT)))
    return f"jsonl:{path}"


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return write_journal(tmp_path / "run" / "journal.jsonl")


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_from_a_journal_to_probabilities(mars2, source: str, journal: Path, tmp_path: Path) -> None:
    data, model = tmp_path / "data.jsonl", tmp_path / "model"
    done = mars2(
        "reward-model", "collect", journal.parent, "--source", source, "--out", data, "--json"
    )
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["nodes"] == 6 * COUNT
    assert report["examples"] == report["programs"] == 5 * COUNT
    assert report["left_out"] == {"no_code": COUNT}
    # On [3, 2] `len` and `min` agree: such problems have two right programs.
    assert report["right"] == COUNT + COUNT // 2
    assert report["public_passing"] == 4 * COUNT
    assert report["undecided_problems"] == COUNT
    examples = rows(data.read_text())
    assert [e["code"] for e in examples[:5]] == codes(0)[:5]
    assert [e["label"] for e in examples[:5]] == [True, False, False, False, False]
    assert not (tmp_path / "data.jsonl.partial").exists()

    train = ("reward-model", "train", data, "--out", model)
    done = mars2(*train, "--base", "micro:loom", "--epochs", 1, "--device", "cpu", "--json")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert sum(report["data"][k]["problems"] for k in ("train", "validation", "test")) == COUNT
    assert "epoch 1/1" in done.err
    done = mars2(*train, "--resume")  # with the settings of the directory; nothing is left to do
    assert done.code == 0, done.err
    assert "reward model" in done.out

    done = mars2("reward-model", "score", model, "--source", source, "--journal", journal)
    assert done.code == 0, done.err
    scores = rows(done.out)
    assert len(scores) == 6 * COUNT
    assert scores[0].keys() == {"problem_id", "tree_id", "node_id", "probability"}
    assert all(0 <= s["probability"] <= 1 for s in scores)
    assert all((s["probability"] == 0) == (s["node_id"] == 6) for s in scores)
    submissions = tmp_path / "submissions.jsonl"
    given = [
        {"problem_id": "p0", "code": codes(0)[0]},
        {"id": "x", "problem_id": "p0", "completion": f"So:\n```python\n{codes(0)[0]}\n```"},
        {"problem_id": "p0", "completion": "I do not know."},
    ]
    submissions.write_text("".join(json.dumps(g) + "\n" for g in given))
    done = mars2("reward-model", "score", model, "--source", source, "--submissions", submissions)
    assert done.code == 0, done.err
    found = rows(done.out)
    # The same program; another batch may round its last bits differently.
    expected = pytest.approx(scores[0]["probability"], abs=1e-5)
    assert found[0] == {"problem_id": "p0", "probability": expected}
    assert found[1] == {"id": "x", "problem_id": "p0", "probability": expected}
    assert found[2]["probability"] == 0


def test_trees_are_grown_by_the_team(mars2, tmp_path: Path) -> None:
    grow = (
        *("reward-model", "collect", "--source", "lab:lists", "--limit", 2, "--grow", "run"),
        *("--agent", "micro:loom", "--max-tokens", 48, "--budget", 3, "--trees", 2, "--json"),
    )
    done = mars2(*grow, "--out", "data.jsonl")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report["nodes"] == 12
    assert {r["tree_id"][:10] for r in rows(Path("data.jsonl").read_text())} == {
        "collect/0/",
        "collect/1/",
    }
    before = Path("run/journal.jsonl").read_text()
    again = mars2(*grow, "--out", "again.jsonl", "--resume")  # nothing is written twice
    assert again.code == 0, again.err
    assert Path("run/journal.jsonl").read_text() == before
    assert Path("again.jsonl").read_text() == Path("data.jsonl").read_text()
    refused = mars2(*grow, "--out", "third.jsonl")
    assert refused.code == 2
    assert "--resume" in refused.err


def test_what_was_judged_before_an_interruption_is_kept(
    mars2, source: str, journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mars2.verifier import Verifier

    verify, judged = Verifier.verify, []

    async def interrupted(self: Verifier, task: Problem, code: str | None, **how: Any) -> Verdict:
        if len(judged) == 30:
            raise KeyboardInterrupt
        judged.append(code)
        return await verify(self, task, code, **how)

    arguments = ("reward-model", "collect", journal, "--source", source, "--out", "data.jsonl")
    monkeypatch.setattr(Verifier, "verify", interrupted)
    done = mars2(*arguments)
    assert done.code == 130
    assert "--resume" in done.err
    partial = Path("data.jsonl.partial")
    kept = len(partial.read_text().splitlines()) - 1
    assert 0 < kept <= 30
    assert mars2(*arguments).code == 2  # neither overwritten nor silently used

    async def counted(self: Verifier, task: Problem, code: str | None, **how: Any) -> Verdict:
        judged.append(code)
        return await verify(self, task, code, **how)

    judged.clear()
    monkeypatch.setattr(Verifier, "verify", counted)
    done = mars2(*arguments, "--resume", "--json")
    assert done.code == 0, done.err
    assert len(judged) == 5 * COUNT - kept
    assert len(rows(Path("data.jsonl").read_text())) == 5 * COUNT
    assert not partial.exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("collect", "--source", "builtin", "--out", "x"), "nothing to collect from"),
        (("collect", "none", "--source", "builtin", "--out", "x"), "no such journal"),
        (("collect", "--grow", "g", "--source", "builtin", "--out", "x"), "--grow needs a team"),
        (("collect", "{journal}", "--source", "builtin", "--out", "x"), "is builtin the source"),
        (("collect", "{journal}", "--source", "builtin", "--out", "a/b"), "no directory a"),
        (("collect", "{journal}", "--source", "builtin", "--out", "{journal}"), "already"),
        (("train", "none", "--base", "micro:loom", "--out", "m"), "cannot be read"),
        (("train", "none", "--out", "m"), "--base is missing"),
        (("train", "none", "--base", "micro:loom", "--lr", "0", "--out", "m"), "--lr"),
        (("train", "none", "--resume", "--out", "m"), "holds no reward model"),
        (("score", "none", "--source", "builtin"), "either --submissions FILE or --journal"),
        (("score", "none", "--source", "builtin", "--journal", "{journal}"), "of problem 'p0'"),
    ],
)
def test_mistakes_are_named_and_write_nothing(
    mars2, journal: Path, arguments: tuple[str, ...], told: str
) -> None:
    before = sorted(Path().rglob("*"))
    done = mars2("reward-model", *(a.format(journal=journal) for a in arguments))
    assert done.code == 2
    assert told in done.err
    assert sorted(Path().rglob("*")) == before


def test_rows_that_cannot_be_scored_are_named(mars2, source: str) -> None:
    for row, told in (
        ({"problem_id": "p0"}, "row 1: needs exactly one of code and completion"),
        ({"problem_id": "zz", "code": "x"}, "row 1: problem_id: the source holds no 'zz'"),
        ({"problem_id": "p0", "code": "x", "label": 1}, "row 1: label: Extra inputs"),
    ):
        Path("rows.jsonl").write_text(json.dumps(row) + "\n")
        done = mars2(
            "reward-model", "score", "m", "--source", source, "--submissions", "rows.jsonl"
        )
        assert done.code == 2
        assert told in done.err
    Path("rows.jsonl").write_text(json.dumps({"problem_id": "p0", "code": "x"}) + "\n")
    done = mars2("reward-model", "score", "m", "--source", source, "--submissions", "rows.jsonl")
    assert done.code == 2
    assert "holds no reward model" in done.err
