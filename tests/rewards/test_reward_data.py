"""From journals to labelled programs, by the real verifier."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mars2.config import VerifierConfig
from mars2.errors import UsageError
from mars2.rewards.data import (
    Written,
    find_journals,
    label,
    lines_of,
    program_id,
    read_examples,
    read_nodes,
    split_of,
    summary,
)
from mars2.search.journal import Journal
from mars2.types import FunctionalTest, Generation, Node, Problem, Status, Verdict
from mars2.verifier import Verifier

PROBLEM = Problem(
    id="double",
    statement="Write f(x): twice x.",
    entry_point="f",
    public_tests=[FunctionalTest(args=[2], expected=4)],
    private_tests=[FunctionalTest(args=[3], expected=6)],
)
RIGHT, LUCKY, WRONG = (f"def f(x):return {e}" for e in ("2*x", "x*x", "x"))


def written(*codes: str | None, problem: str = "double") -> list[Written]:
    return [Written(problem, "t", i, code) for i, code in enumerate(codes, 1)]


class Counting(Verifier):
    """The real verifier, counting programs; `broken` ones it cannot judge."""

    def __init__(self, broken: str = "") -> None:
        super().__init__(VerifierConfig(workers=1, cache="off"))
        self.judged: list[str] = []
        self.broken = broken

    async def verify(self, problem: Problem, code: str | None, **how: Any) -> Verdict:
        self.judged.append(code or "")
        if code == self.broken:
            return Verdict(id=how["id"], status=Status.INFRA, passed=0, total=2)
        return await super().verify(problem, code, **how)


async def test_labels_are_by_all_tests_and_the_public_verdict_by_the_public_ones() -> None:
    async with Counting() as verifier:
        nodes = written(RIGHT, LUCKY, WRONG, None, "def f(:")
        found = await label(nodes, {"double": PROBLEM}, verifier)
    assert [e.label for e in found.examples] == [True, False, False, False]
    assert [e.public.ok for e in found.examples] == [True, True, False, False]
    assert found.examples[1].public.model_dump() == {"status": "passed", "passed": 1, "total": 1}
    assert found.examples[3].public.status is Status.COMPILE_ERROR
    assert found.left_out == {"no_code": 1}
    assert summary(found.examples) == {
        "examples": 4,
        "right": 1,
        "problems": 1,
        "public_passing": 2,
        "public_passing_right": 1,
        "undecided_problems": 1,
    }


async def test_nothing_of_a_private_test_is_kept() -> None:
    secret = PROBLEM.model_copy(
        update={"private_tests": [FunctionalTest(args=[31337], expected=62674)]}
    )
    async with Counting() as verifier:
        found = await label(written(RIGHT, WRONG), {"double": secret}, verifier)
    assert "31337" not in lines_of(found.examples)
    assert "62674" not in lines_of(found.examples)


async def test_identical_programs_are_judged_once_and_every_node_counts() -> None:
    async with Counting() as verifier:
        nodes = written(RIGHT, WRONG, RIGHT, RIGHT)
        found = await label(nodes, {"double": PROBLEM}, verifier)
        assert sorted(verifier.judged) == sorted([RIGHT, WRONG])
    assert [e.label for e in found.examples] == [True, False, True, True]
    assert found.programs == 2


async def test_what_the_machinery_failed_on_is_left_out_not_wrong() -> None:
    async with Counting(broken=RIGHT) as verifier:
        nodes = [*written(RIGHT, WRONG), *written(RIGHT, problem="another")]
        found = await label(nodes, {"double": PROBLEM}, verifier)
    assert [e.code for e in found.examples] == [WRONG]
    assert found.left_out == {"infra": 1, "unknown_problem": 1}


async def test_text_that_no_file_takes_is_left_out() -> None:
    async with Counting() as verifier:
        found = await label(written("x='\ud800'", RIGHT), {"double": PROBLEM}, verifier)
    assert found.left_out == {"not_text": 1}


async def test_kept_verdicts_are_not_made_again() -> None:
    class Kept:
        def __init__(self) -> None:
            self.done: dict[str, Verdict] = {}

        def add(self, verdict: Verdict) -> None:
            self.done[verdict.id] = verdict

    kept = Kept()
    async with Counting() as verifier:
        first = await label(written(RIGHT, LUCKY), {"double": PROBLEM}, verifier, kept)
        assert kept.done.keys() == {program_id("double", RIGHT), program_id("double", LUCKY)}
        verifier.judged.clear()
        again = await label(written(RIGHT, LUCKY), {"double": PROBLEM}, verifier, kept)
        assert verifier.judged == []
    assert again.examples == first.examples


def test_the_split_is_by_problem_and_never_moves() -> None:
    shares = [split_of(f"problem-{i}") for i in range(4000)]
    assert shares.count("train") == pytest.approx(2800, abs=120)
    assert shares.count("validation") == pytest.approx(600, abs=90)
    # Moving a problem would leak test problems into trained models: these values are for good.
    assert [split_of(f"lab-{i}") for i in range(8)] == [
        "train",
        "train",
        "validation",
        "validation",
        "train",
        "test",
        "test",
        "validation",
    ]


def test_files_round_trip_and_faults_are_named(tmp_path: Path) -> None:
    row = {
        "problem_id": "p",
        "tree_id": "t",
        "node_id": 1,
        "statement": "s",
        "code": "x = 'é'\n",
        "public": {"status": "passed", "passed": 1, "total": 1},
        "label": True,
    }
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps(row) + "\n")
    examples, digest = read_examples(path)
    path.write_text(lines_of(examples))
    assert read_examples(path)[0] == examples
    path.write_text(lines_of(examples) + json.dumps(row | {"label": 7}) + "\n")
    with pytest.raises(UsageError, match="row 2: label"):
        read_examples(path)
    path.write_text("{]")
    with pytest.raises(UsageError, match="row 1: not JSON"):
        read_examples(path)
    path.write_text("\n")
    with pytest.raises(UsageError, match="reward-model collect"):
        read_examples(path)
    assert len(digest) == 16


def journal(path: Path, tree: str, code: str) -> None:
    with Journal.open(path, {"config_hash": "x"}) as opened:
        verdict = Verdict(problem_id="double", status=Status.PASSED, passed=1, total=1)
        node = Node(
            tree, 1, None, 1, "a", "generate", (), Generation(text=code), code, verdict, 1.0
        )
        opened.tree(tree).tell(node)


def test_journals_of_several_runs_stay_apart(tmp_path: Path) -> None:
    journal(tmp_path / "a" / "journal.jsonl", "double", RIGHT)
    journal(tmp_path / "b" / "journal.jsonl", "double", WRONG)
    found = find_journals([tmp_path, tmp_path / "a"])
    assert found == [tmp_path / "a" / "journal.jsonl", tmp_path / "b" / "journal.jsonl"]
    assert read_nodes(found) == [
        Written("double", "double", 1, RIGHT),
        Written("double", "double@2", 1, WRONG),
    ]
    with pytest.raises(UsageError, match="no such journal"):
        find_journals([tmp_path / "c"])
    (tmp_path / "d").mkdir()
    with pytest.raises(UsageError, match="not a run directory"):
        find_journals([tmp_path / "d"])
