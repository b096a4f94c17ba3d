"""DeepCoder-Preview-Dataset (Luo et al. 2025, github.com/rllm-org/rllm): DeepCoder's training data.

Layout: huggingface.co/datasets/agentica-org/DeepCoder-Preview-Dataset, CONFIG/SPLIT-*.parquet.
`tests` is a string of JSON in one of three shapes: LiveCodeBench's list (lcbv5, codeforces), one
object of inputs and outputs (taco), a list of inputs and outputs with the function's name in each
(primeintellect). The dataset has no ids: its problems are counted from 0 in each split.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from mars2.problems.cases import Shape, fn_name, listed, paired, with_examples
from mars2.problems.dataset import Chosen, Dataset, Head, build
from mars2.problems.fields import Fields, strict_json
from mars2.problems.hub import Hub
from mars2.types import Problem

_TESTS_ONLY = "codeforces"  # the one configuration without a training split


def _split(chosen: Chosen) -> str:
    return "test" if chosen[0] == _TESTS_ONLY else chosen[1]


def _head(fields: Fields, chosen: Chosen) -> Head:
    return Head(f"deepcoder/{chosen[0] or 'file'}/{_split(chosen)}/{fields.index}")


def _problem(fields: Fields, head: Head, _: Chosen) -> Problem:
    statement = fields.text("problem")
    value = fields.json("tests")
    with fields.faults("tests"):
        entry, shape = _entry_and_shape(value, _about(fields))
    public, private = with_examples(fields, "tests", statement, value, shape)
    return build(
        fields,
        head,
        statement=statement,
        starter_code=fields.get("starter_code", str, optional=True) or "",
        entry_point=entry,
        public_tests=public,
        private_tests=private,
    )


def _entry_and_shape(value: Any, about: dict[str, Any]) -> tuple[str | None, Shape]:
    first = value[0] if type(value) is list and value and type(value[0]) is dict else {}
    if type(value) is list and "fn_name" not in first and first.get("type") != "function_call":
        inside = first.get("metadata")
        entry = (inside if type(inside) is dict else about).get("func_name")
        return (entry if type(entry) is str and entry else None), partial(listed, entry=entry)
    return fn_name(value), paired


def _about(fields: Fields) -> dict[str, Any]:
    """The row's `metadata`, which is an object, or a string of JSON, or not there."""
    if not fields.has("metadata"):
        return {}
    about = fields.value["metadata"]
    if type(about) is str:
        with fields.faults("metadata"):
            about = strict_json(about) if about.strip() else {}
    if type(about) is not dict:
        fields.fail("metadata", "has to be an object, or a string that holds one")
    return about


DATASET = Dataset(
    columns=("problem", "tests", "starter_code", "metadata"),
    layouts=lambda chosen: [[f"{chosen[0]}/{_split(chosen)}-*"]],
    hub=lambda chosen: Hub("agentica-org/DeepCoder-Preview-Dataset", chosen[0], _split(chosen)),
    head=_head,
    problem=_problem,
    variants=(("", "lcbv5", "primeintellect", "taco", "codeforces"), ("train", "test")),
)
