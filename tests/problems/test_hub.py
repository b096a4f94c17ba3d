"""The hub, which no test can reach: what is asked of `datasets`, its rows, and its failures."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from layouts import apps_row, codecontests_row, lcb_row, mbpp_row, taco_row

from mars2.errors import ProblemError
from mars2.problems import load

datasets = pytest.importorskip("datasets")
Asked = list[tuple[tuple[Any, ...], dict[str, Any]]]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[dict[str, Any]]], Asked]:
    """Gives rows for whatever is asked, as a real Dataset, and tells what was asked."""

    def serve(rows: list[dict[str, Any]]) -> Asked:
        asked: Asked = []

        def load_dataset(*args: Any, **kwargs: Any) -> Any:
            asked.append((args, kwargs))
            return datasets.Dataset.from_list(rows)

        monkeypatch.setattr(datasets, "load_dataset", load_dataset)
        return asked

    return serve


@pytest.mark.parametrize(
    ("source", "row", "args", "kwargs"),
    [
        (
            "livecodebench:v2",
            lcb_row("a"),
            ("json",),
            {
                "data_files": [
                    f"hf://datasets/livecodebench/code_generation_lite/{name}.jsonl"
                    for name in ("test", "test2")
                ],
                "split": "train",
            },
        ),
        (
            "apps:train",
            apps_row(),
            ("json",),
            {"data_files": ["hf://datasets/codeparrot/apps/train.jsonl"], "split": "train"},
        ),
        ("taco", taco_row(), ("BAAI/TACO", "ALL"), {"split": "test"}),
        ("mbpp", mbpp_row(), ("google-research-datasets/mbpp", "full"), {"split": "test"}),
        (
            "codecontests:valid",
            codecontests_row(),
            ("deepmind/code_contests", None),
            {"split": "valid"},
        ),
    ],
)
def test_what_is_asked_and_read(
    hub: Callable[[list[dict[str, Any]]], Asked],
    source: str,
    row: dict[str, Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    asked = hub([row])
    (problem,) = load(source)
    assert asked == [(args, kwargs)]
    assert problem.count() == len(problem.tests()) >= 3


def test_a_bad_row_is_named_by_repository(
    hub: Callable[[list[dict[str, Any]]], Asked],
) -> None:
    hub([lcb_row("a"), lcb_row("b", question_content="")])
    with pytest.raises(ProblemError, match="code_generation_lite, row 2: field question_content"):
        load("livecodebench:v1")


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(*args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("Couldn't reach 'BAAI/TACO' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(ProblemError) as caught:
        load("taco:train")
    assert str(caught.value) == (
        "taco:train: BAAI/TACO could not be had from the hub (ConnectionError: Couldn't reach "
        "'BAAI/TACO' on the Hub); taco:train@FOLDER reads a copy of BAAI/TACO that you have"
    )


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        ProblemError, match=r"apps: reading from the hub needs pip install 'mars2\["
    ):
        load("apps")
