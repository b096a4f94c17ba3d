"""Builds the shipped builtin problems from their sources, refusing any that are not sound.

    python tools/builtin/build.py            write src/mars2/problems/data/builtin.jsonl
    python tools/builtin/build.py --check    fail if the shipped file is not what this gives
    python tools/builtin/build.py --only X   check only files whose name contains X; no writing

Sound means: the hand-written public expectations are what the reference gives, there are enough
tests, and every wrong program fails a private test. References are not shipped.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parents[1] / "src" / "mars2" / "problems" / "data" / "builtin.jsonl"
sys.path.insert(0, str(HERE))

from spec import DIFFICULTIES, P  # noqa: E402

# Within a difficulty, the order of files: the simplest to state come first.
GROUPS = ("functional", "stdin", "classic")
MIN_PUBLIC, MIN_PRIVATE, MIN_WRONG = 2, 8, 3


class Unsound(Exception):
    """A problem breaks a rule; says which problem and which rule."""


def source_files(only: str = "") -> list[Path]:
    """The files that hold problems, in a fixed order."""
    files = [p for g in GROUPS for p in sorted(HERE.glob(f"{g}_*.py"))]
    return [p for p in files if only in p.name]


def load_problems(only: str = "") -> list[P]:
    """Every `PROBLEMS` list, sorted easy to hard (stable), ids unique."""
    problems: list[P] = []
    for path in source_files(only):
        spec = importlib.util.spec_from_file_location(f"builtin_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        problems.extend(module.PROBLEMS)
    for what in ("id", "title"):
        seen: set[str] = set()
        for p in problems:
            if getattr(p, what) in seen:
                raise Unsound(f"{p.id}: {what} {getattr(p, what)!r} is used twice")
            seen.add(getattr(p, what))
    return sorted(problems, key=lambda p: DIFFICULTIES.index(p.difficulty))


def run_programs(
    entry_point: str | None, programs: list[str], inputs: list[Any]
) -> list[list[dict[str, Any]]]:
    """Per program and input {"value": v} or {"error": text}; programs run in a child process."""
    job = json.dumps({"entry_point": entry_point, "programs": programs, "inputs": inputs})
    done = subprocess.run(
        [sys.executable, "-I", str(HERE / "run_programs.py")],
        input=job,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode:
        raise Unsound(f"running the programs failed: {done.stderr[-500:]}")
    results: list[list[dict[str, Any]]] = json.loads(done.stdout)
    return results


def same(a: Any, b: Any) -> bool:
    """Equal as the most forgiving judge sees it, so that "rejected" holds for any judge."""
    if isinstance(a, str) and isinstance(b, str):
        return a.split() == b.split()
    return bool(a == b)


def _exact(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _check_form(p: P) -> None:
    if not re.fullmatch(r"builtin/[a-z0-9]+(-[a-z0-9]+)*", p.id):
        raise Unsound(f'{p.id}: an id is "builtin/" and a slug of a-z, 0-9 and -')
    if p.difficulty not in DIFFICULTIES:
        raise Unsound(f"{p.id}: difficulty {p.difficulty!r} is none of {DIFFICULTIES}")
    for name, least in (("public", MIN_PUBLIC), ("private", MIN_PRIVATE), ("wrong", MIN_WRONG)):
        if len(getattr(p, name)) < least:
            raise Unsound(f"{p.id}: {name} has {len(getattr(p, name))}, needs {least}")
    shape = str if p.entry_point is None else list
    for given in [t[0] for t in p.public] + list(p.private):
        if not isinstance(given, shape):
            raise Unsound(f"{p.id}: input {given!r} is not a {shape.__name__}")
    inputs = [_exact(t[0]) for t in p.public] + [_exact(a) for a in p.private]
    for text in inputs:
        if inputs.count(text) > 1:
            raise Unsound(f"{p.id}: the input {text[:80]} is given twice")
    if len({p.reference, *p.wrong}) != 1 + len(p.wrong):
        raise Unsound(f"{p.id}: two of the programs are the same")
    if re.search(r"\bexamples?\b\s*:?\s*$", p.statement, re.I | re.M):
        raise Unsound(f"{p.id}: leave examples out of the statement, they are rendered")


def checked_outputs(p: P) -> list[Any]:
    """The reference's values on the private inputs; raises Unsound if the problem is not sound."""
    _check_form(p)
    inputs = [t[0] for t in p.public] + list(p.private)
    try:
        ref, *wrong = run_programs(p.entry_point, [p.reference, *p.wrong], inputs)
    except Unsound as error:
        raise Unsound(f"{p.id}: {error}") from None
    n = len(p.public)
    for given, out in zip(inputs, ref, strict=True):
        if "error" in out:
            raise Unsound(f"{p.id}: the reference fails on {given!r}: {out['error']}")
    for (given, expected), out in zip(p.public, ref, strict=False):
        got = out["value"]
        if p.entry_point is None:
            agrees = got.strip() == expected.strip()
        else:
            agrees = _exact(got) == _exact(expected)
        if not agrees:
            raise Unsound(f"{p.id}: on {given!r} you wrote {expected!r}, the reference {got!r}")
    for i, row in enumerate(wrong):
        for given, out in zip(inputs, row, strict=True):
            if out.get("error", "").startswith(("SyntaxError", "too slow")):
                raise Unsound(f"{p.id}: wrong[{i}] on {str(given)[:80]!r}: {out['error']}")
        if all(
            "value" in out and same(out["value"], good["value"])
            for out, good in zip(row[n:], ref[n:], strict=True)
        ):
            raise Unsound(f"{p.id}: wrong[{i}] passes every private test")
    return [out["value"] for out in ref[n:]]


def signature(p: P) -> str:
    """The reference's `name(parameters) -> type`."""
    for item in ast.parse(p.reference).body:
        if isinstance(item, ast.FunctionDef) and item.name == p.entry_point:
            returns = f" -> {ast.unparse(item.returns)}" if item.returns else ""
            return f"{item.name}({ast.unparse(item.args)}){returns}"
    raise Unsound(f"{p.id}: the reference defines no function {p.entry_point}")


def _block(text: str) -> str:
    return f"```\n{text.rstrip()}\n```" if text.strip() else "(empty)"


def render_statement(p: P) -> str:
    """The statement as shipped: the text, what to write, and the public tests as examples."""
    parts = [p.statement.strip()]
    if p.entry_point is None:
        parts.append("Read from standard input and write to standard output.")
        for i, (given, expected) in enumerate(p.public, 1):
            head = f"Examples\n\nInput {i}:" if i == 1 else f"Input {i}:"
            parts.append(f"{head}\n{_block(given)}\nOutput {i}:\n{_block(expected)}")
    else:
        parts.append(f"Write the function `{signature(p)}`.")
        lines = []
        for args, expected in p.public:
            call = f"{p.entry_point}({', '.join(map(repr, args))})"
            lines.append(f"- `{call}` returns `{expected!r}`")
        parts.append("Examples\n\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def row(p: P) -> dict[str, Any]:
    """The shipped JSON object of one problem."""
    outputs = checked_outputs(p)
    if p.entry_point is None:

        def test(given: Any, expected: Any) -> dict[str, Any]:
            return {"kind": "stdin", "input": given, "expected": expected}

        head: dict[str, Any] = {}
        starter = p.starter
    else:

        def test(given: Any, expected: Any) -> dict[str, Any]:
            return {"kind": "functional", "args": given, "expected": expected}

        head = {"entry_point": p.entry_point}
        starter = p.starter or f"def {signature(p)}:\n"
    if starter:
        head["starter_code"] = starter
    return {
        "id": p.id,
        "difficulty": p.difficulty,
        "statement": render_statement(p),
        **head,
        "public_tests": [test(a, e) for a, e in p.public],
        "private_tests": [test(a, e) for a, e in zip(p.private, outputs, strict=True)],
        "metadata": {"title": p.title},
    }


def build(only: str = "") -> str:
    """The text of builtin.jsonl; raises Unsound listing every unsound problem."""
    lines, errors = [], []
    for p in load_problems(only):
        try:
            lines.append(json.dumps(row(p), ensure_ascii=False) + "\n")
        except Unsound as error:  # go on: all are reported at once
            errors.append(str(error))
    if errors:
        raise Unsound("\n".join(errors))
    return "".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare with the shipped file")
    parser.add_argument("--only", default="", help="only source files whose name contains this")
    options = parser.parse_args()
    try:
        text = build(options.only)
    except Unsound as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{text.count(chr(10))} sound problems", file=sys.stderr)
    if options.only:
        return 0
    if not options.check:
        SHIPPED.parent.mkdir(parents=True, exist_ok=True)
        SHIPPED.write_text(text, encoding="utf-8")
    elif not SHIPPED.exists() or SHIPPED.read_text(encoding="utf-8") != text:
        print(f"{SHIPPED} is out of date: run {Path(__file__).name}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
