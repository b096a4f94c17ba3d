"""Every dataset, from small files in its published layout, down to the verdict on programs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from layouts import (
    apps_row,
    codecontests_row,
    deepcoder_row,
    humaneval_row,
    humanevalplus_row,
    jsonl,
    lcb_row,
    mbpp_row,
    mbppplus_row,
    parquet,
    taco_row,
)

from mars2.errors import ProblemError
from mars2.packed import PackedTests
from mars2.problems import load
from mars2.types import Problem, Status
from mars2.verifier import Verifier

PROGRAM = ("print(2 * int(input()))", "n = int(input()); print(7 if n in (4, 5) else 2 * n)")
METHOD = (
    "class Solution:\n    def double(self, n, l=None):\n        return 2 * n\n",
    "class Solution:\n    def double(self, n, l=None):\n        return n + 3\n",
)
FUNCTION = ("def double(n):\n    return 2 * n\n", "def double(n):\n    return n + 3\n")
TOTAL = (
    "    return sum(a)\n",
    "    return sum(a) if len(a) != 2 or a[0] == 1 and a[1] == 2 else 0",
)
DEDUP = (
    "def dedup(a):\n    return sorted(set(a))\n",
    "def dedup(a):\n    return [1, 2][:len(a)]\n",
)

WRITE = {"jsonl": jsonl, "jsonl.gz": jsonl, "parquet": parquet}
# source, file in the layout, row, (right program, wrong one), kind, public tests, all tests
CASES: list[tuple[str, str, dict[str, Any], tuple[str, str], str, int, int]] = [
    ("livecodebench:v1", "test.jsonl", lcb_row("a"), PROGRAM, "stdin", 2, 5),
    ("livecodebench:v1", "test.jsonl.gz", lcb_row("a", packed=False), PROGRAM, "stdin", 2, 5),
    ("livecodebench:v1", "test.jsonl", lcb_row("a", functional=True), METHOD, "functional", 2, 5),
    ("livecodebench:file1", "test.parquet", lcb_row("a"), PROGRAM, "stdin", 2, 5),
    ("humaneval", "HumanEval.jsonl.gz", humaneval_row(), TOTAL, "assertion", 1, 2),
    ("humaneval+", "data/test-0.parquet", humanevalplus_row(), TOTAL, "assertion", 1, 2),
    ("mbpp", "full/test-0.parquet", mbpp_row(), DEDUP, "assertion", 2, 3),
    ("mbpp", "mbpp.jsonl", mbpp_row(), DEDUP, "assertion", 2, 3),
    ("mbpp+", "data/test-0.parquet", mbppplus_row(), DEDUP, "assertion", 1, 3),
    ("deepcoder:lcbv5", "lcbv5/train-0.parquet", deepcoder_row("lcbv5"), PROGRAM, "stdin", 0, 5),
    (
        "deepcoder:lcbv5:test",
        "lcbv5/test-0.parquet",
        deepcoder_row("lcbv5-call"),
        METHOD,
        "functional",
        0,
        5,
    ),
    (
        "deepcoder:primeintellect",
        "primeintellect/train-0.parquet",
        deepcoder_row("primeintellect"),
        PROGRAM,
        "stdin",
        1,
        2,
    ),
    (
        "deepcoder:primeintellect",
        "primeintellect/train-0.parquet",
        deepcoder_row("primeintellect-call"),
        FUNCTION,
        "functional",
        0,
        2,
    ),
    ("deepcoder:taco", "taco/train-0.parquet", deepcoder_row("taco"), PROGRAM, "stdin", 1, 3),
    (
        "deepcoder:codeforces",
        "codeforces/test-0.parquet",
        deepcoder_row("codeforces"),
        PROGRAM,
        "stdin",
        0,
        5,
    ),
    ("taco", "ALL/test-0.parquet", taco_row(), PROGRAM, "stdin", 1, 3),
    ("taco:train", "ALL/train-0.parquet", taco_row(call=True), METHOD, "functional", 0, 2),
    ("apps", "test.jsonl", apps_row(), PROGRAM, "stdin", 1, 3),
    ("apps:train", "train.jsonl", apps_row(call=True), FUNCTION, "functional", 0, 2),
    ("codecontests", "data/test-0.parquet", codecontests_row(), PROGRAM, "stdin", 1, 5),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def verifier() -> AsyncIterator[Verifier]:
    async with Verifier() as running:
        yield running


@pytest.mark.parametrize("case", CASES, ids=[f"{c[0]}-{c[1]}-{c[4]}" for c in CASES])
@pytest.mark.asyncio(loop_scope="module")
async def test_a_layout_is_read_and_judged(
    case: tuple[str, str, dict[str, Any], tuple[str, str], str, int, int],
    tmp_path: Path,
    verifier: Verifier,
) -> None:
    source, name, row, (right, wrong), kind, public, total = case
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    WRITE[name.partition(".")[2]](tmp_path / name, [row])
    (problem,) = load(f"{source}@{tmp_path}")
    assert (problem.kind, problem.count("public"), problem.count()) == (kind, public, total)
    assert len(problem.tests()) == total
    if problem.entry_point == "total":
        right, wrong = problem.starter_code + right, problem.starter_code + wrong
    full = problem.unpacked()
    good = await verifier.verify(full, right)
    assert good.status is Status.PASSED, good
    bad = await verifier.verify(full.model_copy(update={"public_tests": []}), wrong)
    assert bad.status is Status.WRONG_ANSWER, bad


# --------------------------------------------------------------------------- what is chosen


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    for number in range(1, 7):
        row = lcb_row(
            f"q{number}",
            contest_date=f"2024-0{number}-28T00:00:00",
            difficulty="hard" if number % 3 == 0 else "easy",
        )
        jsonl(tmp_path / f"test{number if number > 1 else ''}.jsonl", [row])
    return tmp_path


@pytest.mark.parametrize(
    ("source", "numbers"),
    [
        ("livecodebench:v1", [1]),
        ("livecodebench:v4", [1, 2, 3, 4]),
        ("livecodebench:v6", [1, 2, 3, 4, 5, 6]),
        ("livecodebench:file6", [6]),
        ("livecodebench:v6:2024-02..2024-04", [2, 3, 4]),
        ("livecodebench:v6:..2024-02-27", [1]),
        ("livecodebench:v6:2024-05-28..", [5, 6]),
        ("livecodebench:v6:2024..2024", [1, 2, 3, 4, 5, 6]),
        ("livecodebench:v6:hard", [3, 6]),
        ("livecodebench:v6:hard:2024-04..", [6]),
        ("livecodebench:hard,easy:v2", [1, 2]),
    ],
)
def test_releases_times_and_difficulties(releases: Path, source: str, numbers: list[int]) -> None:
    assert [p.id for p in load(f"{source}@{releases}")] == [f"q{n}" for n in numbers]


def test_the_same_by_options(releases: Path) -> None:
    source = f"livecodebench:v6@{releases}"
    assert [p.id for p in load(source, since="2024-03", until="2024-04")] == ["q3", "q4"]
    assert [p.id for p in load(source, difficulty="hard", limit=1)] == ["q3"]
    with pytest.raises(ProblemError, match="the difficulty is given twice"):
        load(f"livecodebench:v6:hard@{releases}", difficulty="easy")
    with pytest.raises(ProblemError, match="no problem in the time 2030"):
        load(source, since="2030")
    with pytest.raises(ProblemError, match="since is '2024-13'; write a day, month or year"):
        load(source, since="2024-13")
    with pytest.raises(
        ProblemError, match=r"no problem in the time 2020\.\.; its problems carry no"
    ):
        load("builtin", since="2020")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("livecodebench", "say which of v1, v2, v3, v4, v5, v6, file1"),
        ("livecodebench:v7", "'v7' is none of its parts; they are v1, .*difficulties easy"),
        ("livecodebench:v1:v2", "'v2' is none of its parts"),
        ("livecodebench:v1:2024-1..", "the begin of the time is '2024-1'; write a day"),
        ("livecodebench:v1:..", "'..' needs a date"),
        ("livecodebench:v1@", "nothing stands behind the @"),
        ("deepcoder:train", "say which of lcbv5, primeintellect, taco, codeforces"),
        ("taco:dev", "'dev' is none of its parts; they are test, train"),
        ("builtin@x", "should be written 'builtin'"),
    ],
)
def test_a_source_that_is_not_understood(source: str, message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        load(source)


def test_a_folder_that_lacks_files_and_a_file_that_is_not_there(tmp_path: Path) -> None:
    jsonl(tmp_path / "test.jsonl", [lcb_row("a")])
    with pytest.raises(ProblemError, match=r"holds no livecodebench:v2@.*looked for test, test2"):
        load(f"livecodebench:v2@{tmp_path}")
    with pytest.raises(ProblemError, match=r"no\.jsonl: no such file"):
        load(f"livecodebench@{tmp_path / 'no.jsonl'}")
    with pytest.raises(ProblemError, match=r"is none of \.jsonl"):
        load(f"taco@{tmp_path / 'x.csv'}")


def test_a_single_file_is_read_as_it_is(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "mine: 1@2.jsonl", [lcb_row("a"), lcb_row("b")])
    assert [p.id for p in load(f"livecodebench@{path}")] == ["a", "b"]


def test_mbpp_s_splits_are_ranges_of_ids(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "mbpp.jsonl", [mbpp_row(n) for n in (2, 10, 11, 510, 511, 601)])
    assert [p.id for p in load(f"mbpp@{tmp_path}")] == ["mbpp/11", "mbpp/510"]
    assert [p.id for p in load(f"mbpp:train@{path}")] == ["mbpp/601"]


def test_what_is_kept_of_a_row(tmp_path: Path) -> None:
    jsonl(tmp_path / "test.jsonl", [lcb_row("a", functional=True)])
    (problem,) = load(f"livecodebench:v1@{tmp_path}")
    assert (problem.date, problem.difficulty) == ("2024-08-17", "easy")
    assert (problem.entry_point, problem.metadata["title"]) == ("double", "Double a")
    assert problem.starter_code.startswith("class Solution")
    assert isinstance(problem.private_tests, PackedTests)
    # as published, not packed again
    assert len(problem.private_tests.payload) < problem.private_tests.size

    parquet(tmp_path / "data" / "test-0.parquet", [codecontests_row()])
    (problem,) = load(f"codecontests@{tmp_path}")
    assert (problem.time_limit_s, problem.memory_limit_mb) == (2.5, 244)
    assert (problem.difficulty, problem.metadata) == ("A", {"cf_rating": 800, "source": 2})


SHARED: list[tuple[Callable[..., Any], str]] = [(apps_row, "apps"), (taco_row, "taco")]


@pytest.mark.parametrize(("row", "source"), SHARED)
def test_examples_of_the_statement_are_public_and_not_private_too(
    tmp_path: Path, row: Callable[..., Any], source: str
) -> None:
    path = jsonl(tmp_path / "test.jsonl", [row()])
    (problem,) = load(f"{source}@{path}")
    assert [t.input for t in problem.public_tests] == ["21\n"]
    assert [t.input for t in problem.private_tests] == ["5\n", "0"]


def functional(tmp_path: Path, outputs: str, inputs: str = "[[1], [2]]") -> Problem:
    tests = f'{{"fn_name": "f", "inputs": {inputs}, "outputs": {outputs}}}'
    path = jsonl(tmp_path / "test.jsonl", [apps_row(input_output=tests)])
    return load(f"apps@{path}")[0]


def test_results_in_a_list_of_one_and_integer_keys(tmp_path: Path) -> None:
    def expected(outputs: str) -> list[Any]:
        return [t.expected for t in functional(tmp_path, outputs).private_tests]

    assert expected("[[1], [2]]") == [1, 2]
    assert expected("[[[1, 2]], [[3]]]") == [[1, 2], [3]]
    assert expected("[[1, 2], [3]]") == [[1, 2], [3]]
    assert expected('[3, "x"]') == [3, "x"]
    assert expected('[[{"1": "a", "-2": "b"}], [{"x": 1}]]') == [{1: "a", -2: "b"}, {"x": 1}]
    problem = functional(tmp_path, "[1, 2]", '[[{"7": 1}, "s"], []]')
    assert [t.args for t in problem.private_tests] == [[{7: 1}, "s"], []]
