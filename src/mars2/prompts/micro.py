"""The compact prompt of the micro models: a few marker characters instead of prose.

    Q:<statement>            Q:<statement>
    A:                       P:
                              <previous program>
                             E:f([3,5])=8, want 10
                             A:

Only markers start a line in column 0: every further line of a statement, program or message is
indented by one space, so whatever the text contains the parts can be told apart (`parse_prompt`
is the proof). Pure: no torch, no tokenizer.
"""

from __future__ import annotations

import ast
import json
from typing import Any

from mars2.types import FunctionalTest, Problem, Status, StdinTest, TestCase, TestVerdict, Verdict

MAX_VALUE = 60  # characters of one shown value
MAX_CODE = 600  # characters of the previous program
HIDDEN = "hidden tests fail"
FINE = "all tests pass"


def render_generate(problem: Problem) -> str:
    """The prompt of a first attempt."""
    return generate_prompt(problem.statement)


def render_refine(problem: Problem, code: str | None, verdict: Verdict, n_public: int) -> str:
    """The prompt of a refinement: whole statement, previous code and its real failure.

    Only the first `n_public` tests of the verdict (the public ones) are ever shown.
    """
    return refine_prompt(problem.statement, code or "", evidence(problem, verdict, n_public))


def generate_prompt(statement: str) -> str:
    """The first-attempt prompt for a bare statement."""
    return f"Q:{_inner(statement)}\nA:\n"


def refine_prompt(statement: str, code: str, failure: str) -> str:
    """The refinement prompt for bare texts; a program beyond MAX_CODE is cut in the middle."""
    program = _inner(cut(code.strip("\n"), MAX_CODE))
    return f"Q:{_inner(statement)}\nP:\n {program}\nE:{_inner(failure)}\nA:\n"


def parse_prompt(text: str) -> dict[str, str]:
    """The parts of a prompt: `statement`, and for a refinement `code` and `failure`.

    The inverse of the renderers up to cutting and line endings. ValueError for any other text.
    """
    if not text.startswith("Q:") or not text.endswith("\nA:\n"):
        raise ValueError("not a micro prompt")
    parts: list[list[str]] = []
    for line in text[: -len("A:\n")].split("\n")[:-1]:
        if line.startswith(" "):
            parts[-1].append(line[1:])
        else:
            parts.append([line])
    heads = [p[0][:2] for p in parts]
    if heads == ["Q:"]:
        return {"statement": _outer(parts[0])}
    if heads == ["Q:", "P:", "E:"]:
        return {
            "statement": _outer(parts[0]),
            "code": "\n".join(parts[1][1:]),
            "failure": _outer(parts[2]),
        }
    raise ValueError("not a micro prompt")


def evidence(problem: Problem, verdict: Verdict, n_public: int) -> str:
    """One line on the first public failure; HIDDEN if only private tests failed, FINE if none."""
    if verdict.ok:
        return FINE
    public = problem.public_tests[:n_public]
    for test, result in zip(public, verdict.tests, strict=False):
        if result.status is not Status.PASSED:
            return _failure(problem, test, result)
    if verdict.status in (Status.COMPILE_ERROR, Status.NO_CODE) or not verdict.tests:
        return str(verdict.status).replace("_", " ")
    return HIDDEN


def mismatch(call: str, actual: str, expected: str) -> str:
    """Evidence of a wrong answer."""
    return f"{call}={actual}, want {expected}"


def raised(call: str, exception: str) -> str:
    """Evidence of an exception."""
    return f"{call} raises {exception}"


def compact(value: Any) -> str:
    """A value as JSON without spaces, cut in the middle when long."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError):
        text = repr(value)
    return cut(text)


def cut(text: str, most: int = MAX_VALUE) -> str:
    """`text`, or its two ends around `...N more...` when it is longer than `most` characters."""
    if len(text) <= most:
        return text
    half = max(1, (most - 16) // 2)
    return f"{text[:half]}...{len(text) - 2 * half} more...{text[-half:]}"


def _failure(problem: Problem, test: TestCase, result: TestVerdict) -> str:
    if isinstance(test, FunctionalTest):
        arguments = ",".join(compact(a) for a in test.args)
        call, expected = f"{problem.entry_point}({arguments})", compact(test.expected)
    elif isinstance(test, StdinTest):
        call, expected = f"input {cut(test.input)!r}", repr(cut(test.expected))
    else:
        call, expected = "the test program", "no error"
    if result.status is Status.WRONG_ANSWER and result.actual is not None:
        actual = result.actual
        shown = repr(cut(actual)) if isinstance(test, StdinTest) else _literal(actual)
        return mismatch(call, shown, expected)
    if result.exception is not None:
        return raised(call, cut(result.exception))
    what = str(result.status).replace("_", " ")
    return f"{call} ends with {what}" + (f" ({result.limit})" if result.limit else "")


def _literal(text: str) -> str:
    """An actual value as sent by a verifier (JSON or repr) in the form of `compact`."""
    for read in (json.loads, ast.literal_eval):
        try:
            return compact(read(text))
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return cut(text)


def _inner(text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n ".join(lines)


def _outer(lines: list[str]) -> str:
    return "\n".join([lines[0][2:], *lines[1:]])
