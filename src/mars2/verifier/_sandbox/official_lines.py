"""The official checker's rewriting of a stdin program, done on its lines.

To parse a program into Python's objects, look at each and compile those costs twice what it costs
to compile text. Where every statement has lines of its own and nothing is written in a way that
`ast.unparse` changes, the rewriting only moves lines: top-level imports up, the block of a last
main guard out, everything into a function. Whatever is not surely so is not done here.
"""

from __future__ import annotations

import re
from types import CodeType

# Characters that lines are not cut or indented by; several statements in a line, statements and
# strings over several lines; f-strings, which are written anew; lines long enough to be nested
# deeply; and the word that the checker looks for.
_NOT_PLAIN = re.compile(
    r"""[^\n -~]|;|\\\n|\\$|\"\"\"|'''|Solution|\\[xuUN0-7]"""
    r"""|\b(?:[fF][rR]?|[rR][fF])["']|\bwith *\(|^ {41}|[^\n]{121}""",
    re.MULTILINE,
)
_BLOCK = re.compile(
    r"(?:if|for|while|else|elif|def|class|try|except|finally|with|async|match|case)\b"
)
_CONTINUES = re.compile(r"(?:else|elif|except|finally|case)\b")
_GUARD = re.compile(r"""if +__name__ *== *(?:'__main__'|"__main__") *:""")
_MANY = 20  # `elif`s, each of which is nested in the one before
_WORD = "class Solution"


def rewritten(source: str) -> tuple[list[str], list[str]] | None:
    """The lines of the top-level imports and those of the function's body, or None."""
    if _NOT_PLAIN.search(source) or source.count("elif") > _MANY:
        return None
    imports: list[str] = []
    body: list[str] = []
    base, guarded = 0, False  # columns of the top level; inside the main guard
    # A line after which a moved one was: it must begin a statement of the top level itself.
    first = True
    opened = False  # the line before needs one after it: a block, or what it decorates
    for line in source.split("\n"):
        code = line.strip()
        if not code or code[0] == "#":
            continue
        if any(code.count(a) != code.count(b) for a, b in ("()", "[]", "{}")):
            return None
        indent = len(line) - len(line.lstrip())
        if guarded and base == 0:
            base = indent
        if indent < base or (guarded and base == 0):
            return None
        top = indent == base
        if first and (not top or _CONTINUES.match(code)):
            return None
        if _BLOCK.match(code) and code[-1] != ":":
            return None
        if top and code.startswith(("import ", "from ")):
            if opened:
                return None
            imports.append(code)
            first = True
            continue
        if top and not guarded and code.startswith("if") and "__name__" in code:
            if opened or source.count("__name__") > 1 or not _GUARD.fullmatch(code):
                return None
            guarded = first = True
            continue
        body.append(" " + line[base:])
        first, opened = False, code[-1] == ":" or code[0] == "@"
    if not body or (guarded and base == 0):
        return None
    return imports, body


def names_solution(code: CodeType) -> bool:
    """True if a text of the program, perhaps one put together from parts, holds the word."""
    return any(
        names_solution(value) if isinstance(value, CodeType) else _holds(value)
        for value in code.co_consts
    )


def _holds(value: object) -> bool:
    if isinstance(value, str):
        return _WORD in value
    if isinstance(value, bytes):
        return _WORD.encode() in value
    return isinstance(value, tuple | frozenset) and any(map(_holds, value))
