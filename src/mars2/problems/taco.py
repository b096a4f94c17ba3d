"""TACO (Li et al. 2023, arXiv 2312.14852) and APPS (Hendrycks et al. 2021, arXiv 2105.09938).

Layouts: huggingface.co/datasets/BAAI/TACO (ALL/SPLIT-*.parquet, or Arrow files of
`save_to_disk`), huggingface.co/datasets/codeparrot/apps (SPLIT.jsonl). Both hold all tests of a
problem in `input_output`, a string of JSON. Examples that the statement shows become public tests.
TACO has no ids: its problems are counted from 0 in each split, as its own evaluation does.
"""

from __future__ import annotations

import re

from mars2.problems.cases import fn_name, paired, with_examples
from mars2.problems.dataset import Chosen, Dataset, Head, build
from mars2.problems.fields import Fields
from mars2.problems.hub import Hub
from mars2.types import Problem

_TACO = ("EASY", "MEDIUM", "MEDIUM_HARD", "HARD", "VERY_HARD")
_APPS = ("introductory", "interview", "competition")
_SPLITS = ("test", "train")
_SECONDS = re.compile(r"(\d+(?:\.\d+)?) *seconds?")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def _taco_head(fields: Fields, chosen: Chosen) -> Head:
    date = fields.get("date", str, optional=True) or ""
    return Head(
        f"taco/{chosen[0]}/{fields.index}",
        fields.get("difficulty", str, optional=True),
        fields.day("date") if _DAY.match(date) else None,  # it is free text, mostly null
    )


def _apps_head(fields: Fields, chosen: Chosen) -> Head:
    name = "problem_id" if fields.has("problem_id") else "id"
    number = fields.get(name, int)
    return Head(f"apps/{chosen[0]}/{number}", fields.get("difficulty", str, optional=True))


def _problem(fields: Fields, head: Head, _: Chosen) -> Problem:
    statement = fields.text("question")
    name = "input_output"
    value = fields.json(name)
    with fields.faults(name):
        entry = fn_name(value)
    public, private = with_examples(fields, name, statement, value, paired)
    limit = _SECONDS.fullmatch(fields.get("time_limit", str, optional=True) or "")
    return build(
        fields,
        head,
        statement=statement,
        starter_code=fields.get("starter_code", str, optional=True) or "",
        entry_point=entry,
        public_tests=public,
        private_tests=private,
        time_limit_s=float(limit[1]) if limit else None,
        metadata={"url": url} if (url := fields.get("url", str, optional=True)) else {},
    )


_BOTH = ("question", "input_output", "starter_code", "difficulty", "url")

TACO = Dataset(
    columns=(*_BOTH, "time_limit", "date"),
    layouts=lambda chosen: [[f"ALL/{chosen[0]}-*"], [f"{chosen[0]}/data-*"], [chosen[0]]],
    hub=lambda chosen: Hub("BAAI/TACO", "ALL", chosen[0]),
    head=_taco_head,
    problem=_problem,
    variants=(_SPLITS,),
    difficulties=_TACO,
)
APPS = Dataset(
    columns=(*_BOTH, "problem_id", "id"),
    layouts=lambda chosen: [[chosen[0]], [f"**/{chosen[0]}-*"]],
    hub=lambda chosen: Hub("codeparrot/apps", files=(f"{chosen[0]}.jsonl",)),
    head=_apps_head,
    problem=_problem,
    variants=(_SPLITS,),
    difficulties=_APPS,
)
