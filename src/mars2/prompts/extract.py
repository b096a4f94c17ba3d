"""The one extractor of programs from answers, shared by rollouts, verification and metrics.

Two extractors that disagree make a reward that nobody can explain, so there is only this one.
"""

from __future__ import annotations

import ast
import builtins
import re
import textwrap

from mars2.problems import complete_code
from mars2.syntax import NOT_PYTHON, parse
from mars2.types import Problem

_FENCE = re.compile(r"^(?P<indent>[ \t]*)(?P<ticks>`{3,}|~{3,})[ \t]*(?P<info>[^`]*)$")
_ONE_LINE = re.compile(r"^[ \t]*```(?:python3?|py)?[ \t]*(?P<code>[^`]+?)[ \t]*```[ \t]*$", re.I)
_PYTHON = {"", "python", "python3", "py", "py3"}

# A first line like these makes a text a program even if it does not parse (a truncated or
# mistyped program is a compile error to learn from, not an answer without code).
_CODE_LINE = re.compile(
    r"""^(?:
        (?:async\s+)?def\s+\w+\s*\(          | class\s+\w+\s*[:(]
      | import\s+[\w.]+(?:\s+as\s+\w+)?\s*(?:[,;#].*)?$
      | from\s+[\w.]+\s+import\s+\S          | @\w[\w.]*(?:\(.*\))?\s*$
      | (?:for\s+.+\sin\s.+|while\s.+|if\s.+|with\s.+|try)\s*:\s*$
      | print\s*\(
      | [A-Za-z_][\w.]*(?:\[.*\])?(?:\s*,\s*[A-Za-z_]\w*)*\s*(?:[-+*/%|&^]|//|\*\*)?=(?!=)\s*\S
    )""",
    re.VERBOSE,
)


def extract_code(text: str) -> str | None:
    """The program in an answer, without its fence, or None if there is none.

    The last fenced block wins (``` with no language or a Python one; blocks of other languages
    are ignored), except that an illustration ("Example usage: print(f(2))", sample output)
    does not replace the program it illustrates. A last fence that is never closed counts to the
    end of the text. Without any such block the whole text is the program if it looks like one.
    """
    return split_answer(text)[1]


def split_answer(text: str) -> tuple[str, str | None]:
    """(the text before the program, the program as `extract_code` gives it).

    The text ends before the program's opening fence and has no surrounding space; other blocks
    before the program belong to it. It is empty where the whole answer is the program, and all of
    the answer where there is none.
    """
    text = text.replace("\r\n", "\n")
    blocks = _blocks(text)
    if blocks:
        programs = [block for block in blocks if not _is_illustration(block[1])]
        begin, code = (programs or blocks)[-1]
        return "\n".join(_with_opening(text).split("\n")[:begin]).strip(), code
    if "```" in text or not _looks_like_code(text):
        return text.strip(), None
    return "", text.strip("\n").rstrip() + "\n"


def _blocks(text: str) -> list[tuple[int, str]]:
    """Fenced blocks that may be Python, in order, none empty: (line of the fence, contents).

    Lines count from 0 in `_with_opening(text)`.
    """
    found: list[tuple[int, str | None]] = []
    opening: re.Match[str] | None = None
    begin = 0
    body: list[str] = []
    for number, line in enumerate(_with_opening(text).split("\n")):
        fence = _FENCE.match(line)
        if opening is None:
            one_line = _ONE_LINE.match(line)
            if one_line:
                found.append((number, one_line["code"] + "\n"))
            elif fence:
                opening, begin, body = fence, number, []
        elif fence and fence["ticks"].startswith(opening["ticks"]):
            found.append((begin, _block(opening, body)))
            # A fence that names a language opens a block: the one before was never closed.
            opening, begin, body = (fence, number, []) if fence["info"].strip() else (None, 0, [])
        else:
            body.append(line)
    if opening is not None:
        found.append((begin, _block(opening, body)))
    return [(begin, block) for begin, block in found if block is not None]


def _is_illustration(block: str) -> bool:
    """True for straight-line code that defines nothing and reads no input: sample calls, data.

    What does not parse is a program with a mistake, unless no line of it looks like code.
    """
    tree = _parse(block)
    if tree is None:
        return not any(_CODE_LINE.match(line.strip()) for line in block.split("\n"))
    kinds = (ast.Expr, ast.Assign, ast.AnnAssign, ast.Assert, ast.Import, ast.ImportFrom)
    return all(isinstance(node, kinds) for node in tree.body) and not any(
        (isinstance(node, ast.Name) and node.id in ("input", "open", "sys", "stdin"))
        or isinstance(node, ast.Lambda)
        for node in ast.walk(tree)
    )


def _with_opening(text: str) -> str:
    """`text`, with the opening fence added if the answer starts inside a code block.

    Asked for a code block, small models go on as if its first fence were already written.
    """
    lines = text.split("\n")
    first = next((i for i, line in enumerate(lines) if _FENCE.match(line)), None)
    if first is None or lines[first].strip() != "```":
        return text
    starts_inside = _looks_like_code("\n".join(lines[:first]))
    return "```python\n" + text if starts_inside else text


def _block(opening: re.Match[str], lines: list[str]) -> str | None:
    words = opening["info"].strip().lower().split()
    language = words[0].strip("{}.") if words else ""
    code = "\n".join(lines)
    if language not in _PYTHON or not code.strip():
        return None
    if opening["indent"]:  # a fence inside a list item
        code = textwrap.dedent(code)
    return code.strip("\n").rstrip() + "\n"


def _looks_like_code(text: str) -> bool:
    source = textwrap.dedent(text.strip("\n"))
    if not source.strip():
        return False
    tree = _parse(source)
    if tree is None:
        return bool(_CODE_LINE.match(_first_line(source)))
    return any(_is_program_statement(node) for node in tree.body)


def _parse(source: str) -> ast.Module | None:
    try:
        return parse(source)
    except NOT_PYTHON:
        return None


def _is_program_statement(node: ast.stmt) -> bool:
    """False for what prose parses as: bare names, numbers, "yes or no", "Hello (world)"."""
    if isinstance(node, ast.AnnAssign):
        return node.value is not None  # "Answer: yes" is an annotation
    if not isinstance(node, ast.Expr):
        return True
    if not isinstance(node.value, ast.Call):
        return False
    function = node.value.func
    if isinstance(function, ast.Name):
        return hasattr(builtins, function.id)
    return isinstance(function, ast.Attribute)


def _first_line(source: str) -> str:
    lines = (line.strip() for line in source.split("\n"))
    return next((line for line in lines if line and not line.startswith("#")), "")


def extract_program(problem: Problem, text: str) -> str | None:
    """The program in an answer to `problem`: `extract_code`, completed from the starter code where
    the answer only continues it (see `mars2.problems.complete_code`). None without code.
    """
    code = extract_code(text)
    return None if code is None else complete_code(problem, code)
