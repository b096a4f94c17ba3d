"""Turns an answer that continues the starter code into a whole program.

Base models continue the prompt: they write a function's body, or a whole function that relies
on the prompt's imports. A judge runs whole programs, so both are completed here, once.
"""

from __future__ import annotations

import ast
import textwrap
import warnings

from mars2.syntax import NOT_PYTHON, parse
from mars2.types import Problem

_IMPORT = (ast.Import, ast.ImportFrom)


def compiles(code: str) -> bool:
    """Whether it is Python; warnings about it are kept quiet."""
    with warnings.catch_warnings():  # its warnings are about the program, not about us
        warnings.simplefilter("ignore")
        try:
            compile(code, "program", "exec", dont_inherit=True)
        except NOT_PYTHON:
            return False
    return True


def _statements(code: str) -> list[ast.stmt]:
    return parse(code).body


def _imports(starter: str) -> list[str]:
    """The import statements at the top level of an unfinished program, one a string."""
    # usually the starter ends where the body begins
    for text in (starter, starter.rstrip() + "\n    pass\n"):
        if compiles(text):
            return [ast.unparse(n) for n in _statements(text) if isinstance(n, _IMPORT)]
    return []


def complete_code(problem: Problem, code: str) -> str:
    """`code` as a whole program for `problem`.

    A program that compiles is kept, preceded by those imports of the starter code that it
    lacks. Text that does not compile by itself but does as the continuation of the starter code
    (a body, indented or not) is appended to it. Anything else is returned unchanged, for the
    judge to say what is wrong with it. Without starter code nothing is changed.
    """
    starter = problem.starter_code
    if not starter.strip():
        return code
    if compiles(code):
        present = {ast.unparse(n) for n in _statements(code) if isinstance(n, _IMPORT)}
        missing = [line for line in _imports(starter) if line not in present]
        # "from __future__" has to come first in a program, so such a program is left alone
        if not missing or any(line.startswith("from __future__") for line in present):
            return code
        return "\n".join(missing) + "\n" + code
    head = starter if starter.endswith("\n") else starter + "\n"
    for body in (code, textwrap.indent(textwrap.dedent(code), "    "), "    " + code):
        if body.strip() and compiles(head + body):
            return head + body
    return code
