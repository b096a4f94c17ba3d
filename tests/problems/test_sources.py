"""The table of sources agrees with the datasets that it names."""

from __future__ import annotations

import importlib

import pytest

from mars2.problems import _DATASETS, _SOURCES
from mars2.problems.dataset import Dataset


@pytest.mark.parametrize("name", _DATASETS)
def test_every_word_that_can_be_said_is_in_the_table(name: str) -> None:
    module, attribute = _DATASETS[name]
    dataset = getattr(importlib.import_module(f"mars2.problems.{module}"), attribute)
    assert isinstance(dataset, Dataset)
    how, line = _SOURCES[name]
    assert how.endswith("[@PATH]")
    assert line
    for axis in dataset.variants:
        words = [word for word in axis if word]
        # a long row of numbers is shown by its ends
        shown = [w for w in words if not w[-1].isdigit()] or [words[0], words[-1]]
        assert all(word in how for word in shown), name
    assert dataset.hub or dataset.package
