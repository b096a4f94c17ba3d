"""Prompts of first attempts and refinements, in chat style or the micro models' compact style.

Short on purpose: a model of 135 million parameters has to be able to follow them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from mars2.prompts.feedback import cut_middle, describe_expected, describe_input, feedback
from mars2.types import (
    AssertionTest,
    FunctionalTest,
    Message,
    Node,
    Problem,
    Status,
)

PromptStyle = Literal["chat", "micro"]

_MAX_CODE = 12000  # characters of a previous program; only degenerate ones are longer
_MAX_REFERENCES = 4  # programs of other nodes
_MAX_EXAMPLES = 2
_MAX_EXAMPLE = 200  # characters of an example; longer tests are left out


def build_prompt(
    problem: Problem,
    *,
    style: PromptStyle,
    system_prompt: str = "",
    parent: Node | None = None,
    references: Sequence[Node] = (),
    error_feedback: bool = True,
) -> tuple[Message, ...]:
    """The messages that ask for a first attempt (no `parent`) or for a refinement of `parent`.

    First attempts carry no feedback. Refinements carry the whole statement, the previous program
    and its failure on public tests (only that it failed, without `error_feedback`), and the
    programs of `references` with how many public tests each passes. The micro models know no
    references. Nothing of a private test is ever included.
    """
    if style == "micro":
        return (Message("user", _micro(problem, parent, error_feedback)),)
    parts = [_task(problem), *_others(problem, references, parent)]
    if parent is None:
        parts.append("Write the program. Answer with one ```python code block.")
    else:
        if parent.code is not None:
            program = cut_middle(parent.code.rstrip("\n"), _MAX_CODE)
            parts.append(f"Your previous program:\n```python\n{program}\n```")
        parts.append(_what_went_wrong(problem, parent, error_feedback))
        parts.append("Fix the program. Answer with one ```python code block that holds all of it.")
    user = Message("user", "\n\n".join(parts))
    return (Message("system", system_prompt), user) if system_prompt else (user,)


def _what_went_wrong(problem: Problem, parent: Node, error_feedback: bool) -> str:
    if error_feedback:
        failure = feedback(problem, parent.verdict, len(problem.public_tests), code=parent.code)
        return f"What went wrong:\n{failure}"
    return "All tests passed." if parent.verdict.ok else "It does not pass all tests."


def _others(problem: Problem, references: Sequence[Node], parent: Node | None) -> list[str]:
    """Programs of other nodes, each once, not the one to be fixed."""
    own = parent.code if parent else None
    programs = {node.code: node for node in references if node.code and node.code != own}
    parts = []
    for code, node in list(programs.items())[-_MAX_REFERENCES:]:
        shown = node.verdict.tests[: len(problem.public_tests)]
        passed = sum(test.status is Status.PASSED for test in shown)
        program = cut_middle(code.rstrip("\n"), _MAX_CODE // _MAX_REFERENCES)
        parts.append(
            f"A program by {node.agent}, which passes {passed} of {len(problem.public_tests)} "
            f"shown tests:\n```python\n{program}\n```"
        )
    return parts


def _micro(problem: Problem, parent: Node | None, error_feedback: bool) -> str:
    from mars2.prompts import micro  # only micro models need it

    if parent is None:
        return micro.render_generate(problem)
    if not error_feedback:
        failure = micro.FINE if parent.verdict.ok else micro.HIDDEN
        return micro.refine_prompt(problem.statement, parent.code or "", failure)
    return micro.render_refine(
        problem, parent.code or "", parent.verdict, len(problem.public_tests)
    )


def _task(problem: Problem) -> str:
    statement = problem.statement.strip()
    parts = [statement]
    if problem.starter_code.strip() and problem.starter_code.strip() not in statement:
        parts.append(f"Start from this code:\n```python\n{problem.starter_code.rstrip()}\n```")
    parts.append(_how_it_is_called(problem))
    examples = _examples(problem, statement)
    if examples:
        parts.append("Examples:\n" + "\n".join(examples))
    return "\n\n".join(parts)


def _how_it_is_called(problem: Problem) -> str:
    """One sentence; it depends on the kind of the tests, never on what they contain."""
    if problem.kind == "stdin":
        return "The program reads standard input and prints the answer to standard output."
    name = problem.entry_point
    if problem.kind == "functional" and "class Solution" in problem.starter_code:
        return (
            f"Write the class `Solution` with the method `{name}`. It will be called; do not print."
        )
    if name:
        return f"Write the function `{name}`. It will be called; do not read input or print."
    return "The program will be imported and checked by tests."


def _examples(problem: Problem, statement: str) -> list[str]:
    """Short public tests that the statement does not show already."""
    shown: list[str] = []
    for test in problem.public_tests:
        expected = describe_expected(test)
        if isinstance(test, AssertionTest) or expected is None:
            continue
        _, given = describe_input(problem, test)
        given, expected = given.strip("\n"), expected.strip("\n")
        if given in statement or len(given) + len(expected) > _MAX_EXAMPLE:
            continue
        if isinstance(test, FunctionalTest):
            shown.append(f"{given} returns {expected}")
        else:
            shown.append(f"Input:\n{given}\nOutput:\n{expected}")
        if len(shown) == _MAX_EXAMPLES:
            break
    return shown
