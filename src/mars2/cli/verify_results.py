"""Results of `mars2 verify` in the shapes that other tools write, for those who read them.

`lcb`: FILE as LiveCodeBench's custom evaluator writes `*_eval_all.json` (problems in the order
of their ids), and beside it `*_eval.json`: [metrics, results, metadata]. `evalplus`: FILE as
EvalPlus writes `*_eval_results.json`. A program that could not be judged (`infra`) is null there
and no part of any rate: it is never counted as a failure.
"""

from __future__ import annotations

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mars2.cli.verify_journal import digest
from mars2.evaluation.metrics import mean, pass_at_k
from mars2.training.rundir import finite, write_atomic
from mars2.types import Problem, Status, Submission, TestVerdict, Verdict
from mars2.verifier.formats import Format, program, task_of

KS = (1, 5, 10, 20, 40, 50, 75, 100, 125, 150, 200, 500, 1000)  # LiveCodeBench's
_EVALPLUS_KS = (1, 10, 100)
_SHOWN_CHARS = 300  # of a text in LiveCodeBench's metadata
_CODES = {
    Status.WRONG_ANSWER: (-2, "Wrong Answer"),
    Status.TIME_LIMIT: (-3, "Time Limit Exceeded"),
    Status.COMPILE_ERROR: (-4, "Error during testing"),
}


@dataclass(frozen=True)
class Judged:
    """One submission with its problem and verdict."""

    problem: Problem
    submission: Submission
    verdict: Verdict

    @property
    def task(self) -> str:
        """The task's id as the file of submissions had it, if it was in a foreign format."""
        own = self.problem.metadata.get("question_id", self.problem.id)
        task = task_of(self.submission.id)
        return task if task in (str(own), self.problem.id) else self.problem.id

    @property
    def passed(self) -> bool | None:
        """None if it could not be judged."""
        return None if self.verdict.status is Status.INFRA else self.verdict.ok


def rates(
    samples: Mapping[str, Sequence[bool | None]], ks: Sequence[int] = KS
) -> dict[str, dict[str, float]]:
    """Unbiased pass@k by problem: {"pass@k": {problem: value}} for each k of `ks` that every
    problem has samples enough for. Samples that could not be judged are left out, as are
    problems with none left.
    """
    judged = {task: [p for p in of if p is not None] for task, of in samples.items()}
    judged = {task: of for task, of in judged.items() if of}
    least = min(map(len, judged.values()), default=0)
    return {
        f"pass@{k}": {task: pass_at_k(len(of), sum(of), k) for task, of in judged.items()}
        for k in ks
        if k <= least
    }


def write_results(path: Path, format: Format, judged: Sequence[Judged]) -> list[Path]:
    """Write all results whole; returns the files written."""
    if format == "mars2":
        rows = (j.verdict.model_dump(mode="json", exclude_none=True) for j in judged)
        write_atomic(path, "".join(json.dumps(finite(row)) + "\n" for row in rows))
        return [path]
    if format == "evalplus":
        write_atomic(path, _text(_evalplus(judged)))
        return [path]
    every, metrics = _lcb(judged)
    beside = metrics_path(path)
    write_atomic(beside, _text(metrics))
    write_atomic(path, _text(every))
    return [path, beside]


def metrics_path(path: Path) -> Path:
    """Where the metrics go beside LiveCodeBench's list of results."""
    stem = path.name.removesuffix(".json").removesuffix("_eval_all")
    return path.with_name(f"{stem}_eval.json")


def _text(value: Any) -> str:
    return json.dumps(finite(value), indent=4) + "\n"


def _by_task(judged: Sequence[Judged]) -> dict[str, list[Judged]]:
    tasks: dict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        tasks[one.task].append(one)
    return tasks


# --------------------------------------------------------------------------- LiveCodeBench


def _lcb(judged: Sequence[Judged]) -> tuple[list[dict[str, Any]], list[Any]]:
    tasks = dict(sorted(_by_task(judged).items()))
    every = [_lcb_row(task, of) for task, of in tasks.items()]
    found = rates({str(n): [j.passed for j in of] for n, of in enumerate(tasks.values())})
    metrics: dict[str, Any] = {name: mean(list(of.values())) for name, of in found.items()}
    metrics["detail"] = found
    for name, of in found.items():
        if len(of) > 1:
            metrics[f"{name}_stderr"] = statistics.stdev(of.values()) / math.sqrt(len(of))
    results = {str(n): [_codes(j.verdict) for j in of] for n, of in enumerate(tasks.values())}
    return every, [metrics, results, [row["metadata"] for row in every]]


def _lcb_row(task: str, judged: Sequence[Judged]) -> dict[str, Any]:
    problem = judged[0].problem
    about = problem.metadata
    codes = [program(problem, j.submission) or "" for j in judged]
    graded = [j.passed for j in judged]
    known = [p for p in graded if p is not None]
    return {
        "question_title": about.get("question_title", ""),
        "question_content": about.get("question_content", problem.statement),
        "platform": about.get("platform", ""),
        "question_id": task,
        "contest_id": about.get("contest_id", ""),
        "contest_date": about.get("contest_date", ""),
        "starter_code": problem.starter_code,
        "difficulty": problem.difficulty or "",
        "output_list": codes,
        "code_list": codes,
        "graded_list": graded,
        "pass@1": sum(known) / len(known) if known else None,
        "metadata": [json.dumps(_metadata(j.verdict)) for j in judged],
    }


def _codes(verdict: Verdict) -> list[Any]:
    """The official results list of a program, up to its first failure."""
    if verdict.lcb is not None:
        return verdict.lcb.results
    if verdict.status is Status.INFRA:
        return []
    if verdict.status in (Status.COMPILE_ERROR, Status.NO_CODE):
        return [-4]
    codes: list[Any] = []
    for test in verdict.tests:
        passed = test.status is Status.PASSED
        codes.append(True if passed else _CODES.get(test.status, (-4, ""))[0])
        if not passed:
            break
    return codes


def _metadata(verdict: Verdict) -> dict[str, Any]:
    if verdict.ok:
        return {"execution time": verdict.seconds}
    failed: TestVerdict | None = next(
        (t for t in verdict.tests if t.status is not Status.PASSED), None
    )
    code, message = _CODES.get(verdict.status, (-4, "Runtime Error"))
    if verdict.lcb is not None:
        code = verdict.lcb.error_code or code
    if verdict.status is Status.INFRA:
        code, message = -5, "TestRunnerError"
    texts = {}
    if failed is not None:
        texts = {
            "error": failed.exception,
            "output": failed.actual,
            "inputs": failed.input,
            "expected": failed.expected,
        }
    shown = {name: _short(text) for name, text in texts.items() if text is not None}
    return {**shown, "error_code": code, "error_message": message, "status": str(verdict.status)}


def _short(text: str) -> str:
    half = _SHOWN_CHARS // 2
    if len(text) <= _SHOWN_CHARS:
        return text
    return text[:half] + "...(truncated) ..." + text[-half:]


# --------------------------------------------------------------------------- EvalPlus


def _evalplus(judged: Sequence[Judged]) -> dict[str, Any]:
    tasks = _by_task(judged)
    found = rates({task: [j.passed for j in of] for task, of in tasks.items()}, _EVALPLUS_KS)
    return {
        "date": datetime.now().strftime("%Y-%m-%d %H:%M"),
        "hash": digest({j.problem.id: j.problem for j in judged}.values()),
        "eval": {task: [_evalplus_row(task, j) for j in of] for task, of in tasks.items()},
        "pass_at_k": {"base": {name: mean(list(of.values())) for name, of in found.items()}},
    }


def _evalplus_row(task: str, one: Judged) -> dict[str, Any]:
    verdict = one.verdict
    status = {Status.PASSED: "pass", Status.TIME_LIMIT: "timeout", Status.INFRA: None}
    failing = [t.input for t in verdict.tests if t.status not in (Status.PASSED, Status.INFRA)]
    return {
        "task_id": task,
        "solution": program(one.problem, one.submission) or "",
        "base_status": status.get(verdict.status, "fail"),
        "plus_status": None,  # the problem's tests are one set: as with --base-only there
        "base_fail_tests": [text for text in failing if text is not None],
        "plus_fail_tests": [],
    }
