"""Runs EvalPlus's own evaluator (package evalplus) on files of ours.

    HUMANEVAL_OVERRIDE_PATH=PROBLEMS.jsonl python official_evalplus.py humaneval SAMPLES.jsonl

A process of its own, for it reads its settings at import. Replaced are what it generates programs
with and downloads its problems with, by empty modules. Reading, expected outputs, judging and
results are its own.
"""

from __future__ import annotations

import os
import sys
import types


def main(dataset: str, samples: str) -> None:
    for name, attribute in (
        ("datasets", "load_dataset"),
        ("wget", "download"),
        ("tempdir", "TempDir"),
        ("evalplus.codegen", "run_codegen"),
    ):
        module = types.ModuleType(name)
        setattr(module, attribute, None)
        sys.modules[name] = module
    from evalplus.evaluate import evaluate

    evaluate(dataset, samples, parallel=1)
    sys.stdout.flush()
    os._exit(0)  # a thread of its own sleeps for 20 s more before it sees that all is done


if __name__ == "__main__":
    main(*sys.argv[1:])
