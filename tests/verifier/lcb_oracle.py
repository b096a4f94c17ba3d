"""LiveCodeBench's official checker (package nvidia-livecodebench), to compare with.

Install with `pip install --no-deps nvidia-livecodebench`: its own dependencies are clients of
model services, which its checker does not use.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import json
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest


def load() -> Any:
    """The official `compute_code_generation_metrics` module. Skips the test without it."""
    for needed in ("numpy", "tqdm"):
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"the official checker needs {needed}")
    if "livecodebench" not in sys.modules:
        spec = importlib.util.find_spec("livecodebench")
        if spec is None or not spec.submodule_search_locations:
            pytest.skip("needs `pip install --no-deps nvidia-livecodebench`")
        # Its packages' __init__ import the clients; the checker's modules need none of them.
        root = spec.submodule_search_locations[0]
        for name, path in (
            ("livecodebench", root),
            ("livecodebench.evaluation", f"{root}/evaluation"),
        ):
            module = types.ModuleType(name)
            module.__path__ = [path]
            sys.modules[name] = module
    before = sys.get_int_max_str_digits()
    try:
        return importlib.import_module("livecodebench.evaluation.compute_code_generation_metrics")
    finally:
        sys.set_int_max_str_digits(before)


def sample(inputs: list[str], outputs: list[str], fn_name: str | None = None) -> dict[str, str]:
    """A problem's tests in the official form. Of a function an input is JSON lines."""
    tests: dict[str, Any] = {"inputs": inputs, "outputs": outputs}
    if fn_name is not None:
        tests["fn_name"] = fn_name
    return {"input_output": json.dumps(tests)}


def evaluate(
    problem: dict[str, str], code: str, timeout: int, stdin: Callable[[str], Any] | None = None
) -> tuple[list[Any], int | None]:
    """The official results and error code of one program.

    `stdin` replaces what the package mocks `sys.stdin` with, as later versions of the checker do.
    """
    official = load()
    with official_limits(), _mocking(stdin), contextlib.redirect_stdout(io.StringIO()):
        results, metadata = official.evaluate_generations_by_problem(
            ([code], problem, False, timeout)
        )
    return results[0], metadata[0].get("error_code")


@contextlib.contextmanager
def _mocking(stdin: Callable[[str], Any] | None) -> Iterator[None]:
    testing = sys.modules["livecodebench.evaluation.testing_util"]
    original = testing.patch

    def patch(target: str, new: Any) -> Any:
        if target == "sys.stdin" and stdin is not None:
            new = stdin(new.getvalue())
        return original(target, new)

    # The process that it starts closes `sys.stdin`, which in tests is not the real one.
    testing.patch, before, sys.stdin = patch, sys.stdin, sys.__stdin__
    try:
        yield
    finally:
        testing.patch, sys.stdin = original, before


@contextlib.contextmanager
def official_limits() -> Iterator[None]:
    """The digits that the checker's import allows its process and those that it starts."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(50_000)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(before)
