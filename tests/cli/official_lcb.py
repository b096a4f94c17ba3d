"""Runs LiveCodeBench's own custom evaluator (package nvidia-livecodebench) on files of ours.

    python official_lcb.py PROBLEMS.jsonl CUSTOM.json

A process of its own, for its checker disables much of the process that it runs in. Replaced are the
hub, from which its problems would come, by the file, and packages that its other scenarios import
(clients of model services, pandas) by empty ones. Arguments, sorting, decoding, judging and metrics
are its own.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from collections.abc import Callable
from typing import Any


class Rows(list):
    """What it uses of a `datasets.Dataset`."""

    def filter(self, keep: Callable[[dict[str, Any]], bool]) -> Rows:
        return Rows(filter(keep, self))


def main(problems: str, custom: str) -> None:
    with open(problems, encoding="utf-8") as file:
        rows = Rows(json.loads(line) for line in file)
    datasets = types.ModuleType("datasets")
    datasets.Dataset = Rows  # type: ignore[attr-defined]
    datasets.load_dataset = lambda *_, **__: rows  # type: ignore[attr-defined]
    anthropic = types.ModuleType("anthropic")
    anthropic.HUMAN_PROMPT = anthropic.AI_PROMPT = ""  # type: ignore[attr-defined]
    sys.modules |= {"datasets": datasets, "anthropic": anthropic}
    if importlib.util.find_spec("pandas") is None:
        sys.modules["pandas"] = types.ModuleType("pandas")
    from livecodebench.runner import custom_evaluator

    sys.argv = ["custom_evaluator", "--custom_output_file", custom]
    # its own default is 30, which it shares with requests to a server; the benchmark's is 6
    sys.argv += ["--num_process_evaluate", "2", "--timeout", "6"]
    custom_evaluator.main()


if __name__ == "__main__":
    main(*sys.argv[1:])
