"""Labelled programs: nodes of finished searches, judged on all tests, split by problem.

A file of JSON lines, one `Example` a line. The label is the one thing in it that private tests
decided; nothing of a private test itself is kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mars2.errors import UsageError
from mars2.search.journal import read_journal
from mars2.types import Problem, Status, Verdict
from mars2.verifier import AnyVerifier

Split = Literal["train", "validation", "test"]
_SPLITS: tuple[tuple[Split, int], ...] = (("train", 70), ("validation", 15), ("test", 15))  # %


class PublicVerdict(BaseModel):
    """What is known of a program without its private tests."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Status
    passed: int
    total: int

    @property
    def ok(self) -> bool:
        """True if every public test passed."""
        return self.status is Status.PASSED


class Example(BaseModel):
    """One labelled program: what a reward model reads, and whether it passes all tests."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    problem_id: str = Field(min_length=1)
    tree_id: str
    node_id: int
    statement: str
    code: str
    public: PublicVerdict
    label: bool


def split_of(problem_id: str) -> Split:
    """Where a problem belongs, by SHA-256 of its id: the same in every data set, on any machine."""
    digest = hashlib.sha256(f"reward model:{problem_id}".encode()).digest()
    percent = int.from_bytes(digest[:8], "big") % 100
    for name, share in _SPLITS:
        if percent < share:
            return name
        percent -= share
    raise AssertionError("the shares add up to 100")


# --------------------------------------------------------------------------- journals


@dataclass(frozen=True, slots=True)
class Written:
    """A node of a journal: who wrote what for which problem. `code` None: no program."""

    problem_id: str
    tree_id: str
    node_id: int
    code: str | None


def find_journals(paths: Iterable[Path]) -> list[Path]:
    """The journals that files and run directories stand for, each once, in order.

    A directory stands for its journal.jsonl, or else for those of the runs inside it.

    Raises:
        UsageError: a path that is missing or holds no journal.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_file():
            here = [path]
        elif (path / "journal.jsonl").is_file():
            here = [path / "journal.jsonl"]
        elif path.is_dir():
            here = sorted(path.rglob("journal.jsonl"))
        else:
            raise UsageError(f"{path}: there is no such journal or run directory")
        if not here:
            raise UsageError(f"{path}: no journal.jsonl in it or below: not a run directory")
        found |= dict.fromkeys(here)
    return list(found)


def read_nodes(journals: Sequence[Path]) -> list[Written]:
    """Every finished node, in the order of the journals.

    A tree id that an earlier journal used gets the journal's number appended (`id@2`), so that
    trees of different runs stay apart.

    Raises:
        ResumeError: a journal that cannot be read; names file and line.
        UsageError: a node of a form that this version does not write.
    """
    nodes: list[Written] = []
    taken: set[str] = set()
    for number, path in enumerate(journals, 1):
        own: set[str] = set()
        for event in read_journal(path):
            if event.get("event") != "tell":
                continue
            try:
                node, tree = event["node"], event["tree"]
                problem = node["verdict"]["problem_id"]
                name = f"{tree}@{number}" if tree in taken else tree
                nodes.append(Written(problem, name, node["node_id"], node["code"]))
            except (KeyError, TypeError) as error:
                raise UsageError(
                    f"{path}: a node of tree {event.get('tree')!r} cannot be read: no {error}"
                ) from None
            own.add(tree)
        taken |= own
    return nodes


# --------------------------------------------------------------------------- labels


class Verdicts(Protocol):
    """Verdicts kept on disk as they come, by id; those of an interrupted run are in `done`."""

    done: dict[str, Verdict]

    def add(self, verdict: Verdict) -> None:
        """Keep one, unless the machinery failed."""


@dataclass(slots=True)
class Collected:
    """Examples in the order of the nodes, and what was left out, counted by reason."""

    examples: list[Example] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    programs: int = 0  # distinct (problem, program) that were judged


def program_id(problem_id: str, code: str) -> str:
    """Equal for equal programs of one problem only."""
    text = json.dumps([problem_id, code])  # escapes lone surrogates
    return hashlib.sha256(text.encode()).hexdigest()[:32]


async def label(
    nodes: Sequence[Written],
    problems: Mapping[str, Problem],
    verifier: AnyVerifier,
    kept: Verdicts | None = None,
    *,
    at_once: int = 16,
    on_judged: Callable[[], None] | None = None,
) -> Collected:
    """Judge the nodes' programs on all tests, identical ones of a problem once.

    Left out and counted: `no_code`, `not_text` (lone surrogates, which files refuse),
    `unknown_problem` (not in `problems`), and `infra` (the machinery failed, which says nothing
    of the program).

    Args:
        kept: verdicts to use instead of judging again, and where new ones go.
        on_judged: called once a distinct program.
    """
    result = Collected()
    usable: list[tuple[Written, str]] = []
    jobs: dict[str, tuple[Problem, str]] = {}
    for node in nodes:
        if node.code is None:
            result.left_out["no_code"] += 1
        elif node.problem_id not in problems:
            result.left_out["unknown_problem"] += 1
        elif not _is_text(node.code):
            result.left_out["not_text"] += 1
        else:
            identity = program_id(node.problem_id, node.code)
            usable.append((node, identity))
            jobs[identity] = (problems[node.problem_id], node.code)
    verdicts: dict[str, Verdict] = {}
    limit = asyncio.Semaphore(at_once)

    async def judge(identity: str) -> None:
        verdict = kept.done.get(identity) if kept else None
        if verdict is None:
            problem, code = jobs[identity]
            async with limit:
                verdict = await verifier.verify(problem.unpacked(), code, id=identity)
            if kept:
                kept.add(verdict)
        verdicts[identity] = verdict
        if on_judged:
            on_judged()

    async with asyncio.TaskGroup() as group:
        for identity in jobs:
            group.create_task(judge(identity))
    result.programs = len(jobs)
    for node, identity in usable:
        verdict = verdicts[identity]
        if verdict.status is Status.INFRA:
            result.left_out["infra"] += 1
        else:
            result.examples.append(_example(node, problems[node.problem_id], verdict))
    return result


def _is_text(code: str) -> bool:
    try:
        code.encode()
    except UnicodeEncodeError:
        return False
    return True


def _example(node: Written, problem: Problem, verdict: Verdict) -> Example:
    # Public tests come first and judging stops at the first failure, so that as many passed as
    # there are public ones if and only if none of those failed.
    total = len(problem.public_tests)
    passed = min(verdict.passed, total)
    never_ran = verdict.status in (Status.COMPILE_ERROR, Status.NO_CODE)
    ok = passed == total and not never_ran
    assert node.code is not None  # such nodes are not judged
    return Example(
        problem_id=problem.id,
        tree_id=node.tree_id,
        node_id=node.node_id,
        statement=problem.statement,
        code=node.code,
        public=PublicVerdict(
            status=Status.PASSED if ok else verdict.status, passed=passed, total=total
        ),
        label=verdict.ok,
    )


# --------------------------------------------------------------------------- files


def read_examples(path: Path) -> tuple[list[Example], str]:
    """The examples of a file, and the SHA-256 of its bytes (16 hex digits).

    Raises:
        UsageError: the file cannot be read, is empty, or a row is no example (row and field are
            named).
    """
    try:
        data = path.read_bytes()
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    examples = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            examples.append(Example.model_validate(json.loads(line)))
        except ValidationError as error:
            issue = error.errors()[0]
            where = ".".join(str(p) for p in issue["loc"])
            raise UsageError(f"{path}, row {number}: {where}: {issue['msg']}") from None
        except ValueError as error:
            raise UsageError(f"{path}, row {number}: not JSON: {error}") from None
    if not examples:
        raise UsageError(f"{path}: holds no examples; make some with `mars2 reward-model collect`")
    return examples, hashlib.sha256(data).hexdigest()[:16]


def lines_of(examples: Iterable[Example]) -> str:
    """The text of a data file."""
    return "".join(json.dumps(e.model_dump(mode="json")) + "\n" for e in examples)


def summary(examples: Sequence[Example]) -> dict[str, Any]:
    """Counts that say whether there is anything to learn, and for selection, to decide."""
    kinds: dict[str, set[bool]] = {}
    for e in examples:
        if e.public.ok:
            kinds.setdefault(e.problem_id, set()).add(e.label)
    return {
        "examples": len(examples),
        "right": sum(e.label for e in examples),
        "problems": len({e.problem_id for e in examples}),
        "public_passing": sum(e.public.ok for e in examples),
        "public_passing_right": sum(e.public.ok and e.label for e in examples),
        "undecided_problems": sum(len(k) == 2 for k in kinds.values()),
    }
