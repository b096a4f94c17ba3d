"""Writes sample files whole, with what the evaluators require of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mars2.errors import UsageError
from mars2.exchange.formats import ENDINGS, NO_PROGRAM, SampleFormat, foreign_ids
from mars2.problems.completion import compiles
from mars2.training.rundir import write_atomic
from mars2.types import Problem

_Codes = Mapping[str, Sequence[str | None]]


@dataclass(frozen=True, slots=True)
class Padded:
    """What is written: `rows` by the evaluator's id, `missing` the programs added by problem id."""

    rows: dict[str, list[str]]
    missing: dict[str, int]


def check_target(path: Path, format: SampleFormat) -> None:
    """Raises UsageError if the evaluator would not take a file of that name, or none can be."""
    if path.suffix != ENDINGS[format]:
        raise UsageError(f"--out {path}: the evaluator wants a name that ends in {ENDINGS[format]}")
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"--out {path}: is a directory, or there is none to put it in")


def pad(codes: _Codes, format: SampleFormat, problems: Sequence[Problem] | None = None) -> Padded:
    """Programs for every problem, with `NO_PROGRAM` for those that are missing.

    For `lcb` each problem gets as many as the one with most: LiveCodeBench asserts that. The
    others need one of each problem.

    Args:
        problems: the evaluator's whole set; without it the problems of `codes`, by their own ids.

    Raises:
        UsageError: `codes` has a problem that is not among `problems`.
    """
    names = {problem: problem for problem in codes}
    if problems is not None:
        names = {own: foreign for foreign, own in foreign_ids(problems, format).items()}
        strange = [problem for problem in codes if problem not in names]
        if strange:
            raise UsageError(f"--problems: holds no {strange[0]!r}, which the run has")
    most = max((len(of) for of in codes.values()), default=0)
    wanted = max(most, 1) if format == "lcb" else 1
    rows: dict[str, list[str]] = {}
    missing: dict[str, int] = {}
    for problem, name in names.items():
        given = list(codes.get(problem, ()))
        lacking = max(0, wanted - len(given))
        if lacking:
            missing[problem] = lacking
        rows[name] = [NO_PROGRAM if code is None else code for code in given]
        rows[name] += [NO_PROGRAM] * lacking
    return Padded(rows, missing)


def write_samples(
    path: Path,
    format: SampleFormat,
    rows: Mapping[str, Sequence[str]],
    problems: Sequence[Problem] = (),
) -> None:
    """Replace the file atomically.

    Args:
        rows: programs by the evaluator's id.
        problems: for `humaneval`, whose prompts the programs have to continue.

    Raises:
        UsageError: as `check_target`; or a program that cannot continue its prompt.
    """
    check_target(path, format)
    if format == "lcb":
        lines = [json.dumps({"question_id": q, "code_list": list(of)}) for q, of in rows.items()]
        write_atomic(path, "[\n" + ",\n".join(lines) + "\n]\n")
    elif format == "evalplus":
        pairs = ({"task_id": t, "solution": code} for t, of in rows.items() for code in of)
        write_atomic(path, "".join(json.dumps(pair) + "\n" for pair in pairs))
    else:
        completions = list(_completions(rows, problems))
        write_atomic(path, "".join(json.dumps(pair) + "\n" for pair in completions))


def _completions(
    rows: Mapping[str, Sequence[str]], problems: Sequence[Problem]
) -> Iterator[dict[str, str]]:
    by_id = {problem.id: problem for problem in problems}
    ours = foreign_ids(problems, "humaneval")
    for task, codes in rows.items():
        problem = by_id.get(ours.get(task, ""))
        if problem is None or not problem.starter_code:
            raise UsageError(
                f"humaneval: {task!r} has no prompt to continue; use --format evalplus"
            )
        for place, code in enumerate(codes):
            completion = _continue(problem.starter_code, code)
            if completion is None:
                raise UsageError(
                    f"humaneval: program {place} of {task!r} cannot stand after the prompt, "
                    "which has no docstring, or it begins with `from __future__`; use "
                    "--format evalplus"
                )
            yield {"task_id": task, "completion": completion}


def _continue(prompt: str, code: str) -> str | None:
    """What makes `prompt` + it do as `code` does: the rest of it, or all of it after the prompt.

    The function that the prompt leaves without a body then has its docstring for one, and the
    program defines it again.
    """
    if code.startswith(prompt):
        return code[len(prompt) :]
    completion = code if prompt.endswith("\n") else "\n" + code
    return completion if compiles(prompt + completion) or not compiles(code) else None
