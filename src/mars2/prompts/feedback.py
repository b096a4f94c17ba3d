"""What the next agent is told about a program's failure: evidence from public tests only.

Private tests judge and nothing else: of them an agent may learn that they failed, no more.
"""

from __future__ import annotations

from collections.abc import Sequence

from mars2.types import (
    AssertionTest,
    FunctionalTest,
    Problem,
    Status,
    StdinTest,
    TestCase,
    TestVerdict,
    Verdict,
)

MAX_CHARS = 2000  # of the whole feedback
_MAX_FAILURES = 2  # failing tests shown; the rest are counted
_VALUE_LIMITS = (600, 300, 150, 60)  # characters of one value, tried in turn

_WHAT = {
    Status.WRONG_ANSWER: "wrong answer",
    Status.RUNTIME_ERROR: "the program raised an exception",
    Status.TIME_LIMIT: "time limit exceeded",
    Status.MEMORY_LIMIT: "memory limit exceeded",
    Status.OUTPUT_LIMIT: "too much output",
    Status.COMPILE_ERROR: "the program does not compile",
    Status.SANDBOX_VIOLATION: "the program did something that is not allowed",
    Status.NO_CODE: "the answer contained no Python code",
}


def cut_middle(text: str, limit: int) -> str:
    """`text`, or its two ends around a note of how much was cut, in at most `limit` characters.

    Below about 40 characters there is no room for a note and the head is kept.
    """
    if len(text) <= limit:
        return text
    note = f"\n... [{len(text)} characters, middle cut] ...\n"
    room = limit - len(note)
    if room < 2:
        return text[: max(0, limit)]
    head = (room + 1) // 2
    return text[:head] + note + text[len(text) - (room - head) :]


def feedback(
    problem: Problem,
    verdict: Verdict,
    n_public: int,
    max_chars: int = MAX_CHARS,
    *,
    code: str | None = None,
) -> str:
    """A description of the failure, at most `max_chars` characters.

    Args:
        problem: supplies inputs and expected outputs of public tests where the verdict lacks them.
        verdict: `verdict.tests[i]` is a public test if and only if i < `n_public`.
        code: the program judged; if it does not compile, the message is made from it.
    """
    n_public = min(n_public, len(problem.public_tests))
    if verdict.ok:
        return "All tests passed."
    if verdict.status is Status.NO_CODE:
        return "The answer contained no Python code. Answer with one ```python block."[:max_chars]
    syntax = _syntax_error(code) if verdict.status is Status.COMPILE_ERROR else None
    if syntax is not None:
        return cut_middle(f"The program does not compile:\n{syntax}", max_chars)
    judged = verdict.tests[:n_public]
    failures = [
        (i, test)
        for i, test in enumerate(judged)
        if test.status not in (Status.PASSED, Status.INFRA)
    ]
    if not failures:
        return _no_evidence(verdict, n_public)[:max_chars]
    text = ""
    for limit in _VALUE_LIMITS:
        text = _render(problem, failures, limit)
        if len(text) <= max_chars:
            return text
    return cut_middle(text, max_chars)


def _no_evidence(verdict: Verdict, n_public: int) -> str:
    judged = verdict.tests[:n_public]
    if verdict.status is Status.INFRA:
        return "The program could not be judged."
    if verdict.status is Status.COMPILE_ERROR:
        return "The program does not compile."
    if judged and all(test.status is Status.PASSED for test in judged):
        return "The tests shown to you pass, but hidden tests fail. Look for missed cases."
    if n_public and not verdict.tests:
        return f"The program fails: {_WHAT.get(verdict.status, verdict.status)}."
    return "Hidden tests fail."


def _render(problem: Problem, failures: Sequence[tuple[int, TestVerdict]], limit: int) -> str:
    parts = []
    for index, result in failures[:_MAX_FAILURES]:
        what = _WHAT.get(result.status, str(result.status))
        where = f" ({result.limit})" if result.limit else ""
        parts.append(f"Test {index + 1}: {what}{where}.")
        parts += _evidence(problem, problem.public_tests[index], result, limit)
    more = len(failures) - _MAX_FAILURES
    if more > 0:
        parts.append(f"{more} more shown test{'s' if more > 1 else ''} failed.")
    return "\n".join(parts)


def _evidence(problem: Problem, test: TestCase, result: TestVerdict, limit: int) -> list[str]:
    lines = [_labelled(*describe_input(problem, test), limit)]
    if result.status is Status.WRONG_ANSWER:
        expected = describe_expected(test)
        if expected is not None:
            lines.append(_labelled("Expected", expected, limit))
        if result.actual is not None:
            lines.append(_labelled("Got", result.actual, limit))
    if result.traceback:
        lines.append(_labelled("Traceback", result.traceback, limit))
    last = result.traceback.rstrip().rsplit("\n", 1)[-1] if result.traceback else ""
    if result.exception and result.exception.strip() != last.strip():
        lines.append(_labelled("Exception", result.exception, limit))
    return lines


def describe_input(problem: Problem, test: TestCase) -> tuple[str, str]:
    """A label and the input of a public test: standard input, a call, or a test program."""
    if isinstance(test, FunctionalTest):
        return "Call", f"{problem.entry_point}({', '.join(map(repr, test.args))})"
    if isinstance(test, AssertionTest):
        return "Test program", test.program
    return "Input", test.input


def describe_expected(test: TestCase) -> str | None:
    """The expected output of a public test; None for a test program, which has none."""
    if isinstance(test, FunctionalTest):
        return repr(test.expected)
    return test.expected if isinstance(test, StdinTest) else None


def _labelled(label: str, value: str, limit: int) -> str:
    value = cut_middle(value.strip("\n"), limit)
    return f"{label}:\n{value}" if "\n" in value else f"{label}: {value}"


def _syntax_error(code: str | None) -> str | None:
    """Message and place of the program's syntax error; compiling runs nothing of it."""
    if code is None:
        return None
    try:
        compile(code, "solution.py", "exec", dont_inherit=True)
    except SyntaxError as error:
        line = (error.text or "").rstrip()
        where = f"line {error.lineno}: " if error.lineno else ""
        return f"{where}{type(error).__name__}: {error.msg}" + (f"\n{line}" if line else "")
    except (ValueError, RecursionError, MemoryError) as error:
        return f"{type(error).__name__}: {error}"
    return None
