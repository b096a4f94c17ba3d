"""Rows of a dataset on the Hugging Face hub, through the package `datasets`.

It downloads once, into its own cache, and reads from there: memory holds a row at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mars2.errors import ProblemError
from mars2.problems.fields import Place
from mars2.problems.files import Item


@dataclass(frozen=True)
class Hub:
    """A part of a dataset: a configuration and its split, or JSON-lines files by name."""

    repository: str
    config: str | None = None
    split: str = "test"
    files: tuple[str, ...] = ()


def read_hub(hub: Hub, columns: Sequence[str], source: str) -> Iterator[Item]:
    """The rows, `columns` only as far as there are. `source` is for the message.

    Raises ProblemError without the package, or if the hub does not give the dataset.
    """
    local = f"{source}@FOLDER reads a copy of {hub.repository} that you have"
    try:
        import datasets
    except ImportError:
        raise ProblemError(
            f"{source}: reading from the hub needs pip install 'mars2[datasets]'; {local}"
        ) from None
    try:
        rows = _load(datasets, hub)
        rows = rows.select_columns([c for c in columns if c in rows.column_names])
    except Exception as error:  # of many kinds: offline, unknown, gated, full disk
        raise ProblemError(
            f"{source}: {hub.repository} could not be had from the hub "
            f"({type(error).__name__}: {str(error)[:300]}); {local}"
        ) from error
    for number, row in enumerate(rows, 1):
        yield Place(hub.repository, number), row


def _load(datasets: Any, hub: Hub) -> Any:
    if hub.files:
        # by address: these repositories hold a loading script, which is not run any more
        files = [f"hf://datasets/{hub.repository}/{name}" for name in hub.files]
        return datasets.load_dataset("json", data_files=files, split="train")
    return datasets.load_dataset(hub.repository, hub.config, split=hub.split)
