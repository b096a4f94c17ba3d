"""The sample files of other evaluators: what they are called, and what stands for no program.

lcb        LiveCodeBench's custom evaluator (`lcb_runner.runner.custom_evaluator`): one JSON list
           of {"question_id", "code_list"}; every problem, each with as many programs
evalplus   EvalPlus (`evalplus.evaluate --samples`): JSON lines {"task_id", "solution"}, a whole
           program each; every problem at least once
humaneval  HumanEval (`evaluate_functional_correctness`): JSON lines {"task_id", "completion"},
           text that is appended to the problem's prompt as it stands
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from mars2.types import Problem

SampleFormat = Literal["lcb", "evalplus", "humaneval"]
SAMPLE_FORMATS: tuple[SampleFormat, ...] = get_args(SampleFormat)

ENDINGS: dict[SampleFormat, str] = {"lcb": ".json", "evalplus": ".jsonl", "humaneval": ".jsonl"}
"""How the evaluator wants the file's name to end."""

NO_PROGRAM = 'raise RuntimeError("no program")\n'
"""Written where there is no program. Not the empty text, which LiveCodeBench's checker accepts on
a problem whose function its prelude happens to define, or whose expected output is empty."""


def foreign_ids(problems: Iterable[Problem], format: SampleFormat) -> dict[str, str]:
    """The evaluator's id of each problem → ours: the same, or kept in the problem's metadata."""
    key = "question_id" if format == "lcb" else "task_id"
    return {str(p.metadata.get(key, p.id)): p.id for p in problems}
