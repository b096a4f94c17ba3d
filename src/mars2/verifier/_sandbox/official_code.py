"""A stdin program as LiveCodeBench's official checker rewrites it, without writing its text.

The checker parses the program, inlines a last `if __name__ == '__main__'` block, hoists the
top-level imports, puts the rest into `wrapped_function`, writes all that out again with
`ast.unparse` and compiles the text (livecodebench/evaluation/testing_util.py: `clean_if_name`,
`make_function`). Writing and parsing again costs most of the time and nearly always changes
nothing, so plain programs are rewritten by lines (`official_lines`), and of others the rewritten
tree is compiled as it is. Where the text can differ from the tree, or
cannot be written at all, the text is really made: f-strings (each alone), and whole programs
with deep nesting, huge integers, identifiers that are not ASCII, or a look at line numbers.
"""

from __future__ import annotations

import ast
import keyword
import sys
from types import CodeType
from typing import Any, NamedTuple

from . import official_lines

# The lines of the checker's own imports before the program: line numbers count them, and a
# `from __future__` import after them is a syntax error.
STDIN_HEAD = "0" + "\n" * 36
FUNCTION_HEAD = "0" + "\n" * 37
FILE = "<string>"
_NAME = "wrapped_function"
# Levels of the tree (each statement or operand is one) up to which neither the writer's
# recursion nor the tokenizer's limits on indentation and brackets can be reached.
_MAX_DEPTH = 90
_MAX_INT_BITS = 160_000  # below 50,000 decimal digits, which `repr` of the checker allows
_RECURSION = 965  # the checker's limit of 1000 less the frames that it is in by then
_SEES_LINES = (
    *("lineno", "traceback", "_getframe", "inspect", "co_", "__code__", "logging"),
    *("warn", "settrace", "setprofile", "dis", "current_frame", "bdb", "pdb"),
)
_KEYWORDS = frozenset(keyword.kwlist)
_ON_OWN_LINE = frozenset({ast.ExceptHandler, ast.match_case, *ast.stmt.__subclasses__()})
_NO_CHILDREN: frozenset[type] = frozenset(
    {int, str, type(None), float, bool, bytes, complex, type(...)}
    | {ast.Load, ast.Store, ast.Del}
    | set(ast.operator.__subclasses__())
    | set(ast.unaryop.__subclasses__())
    | set(ast.cmpop.__subclasses__())
    | set(ast.boolop.__subclasses__())
)


class Code(NamedTuple):
    """What the checker would execute once, before the tests."""

    code: CodeType
    solution: bool  # its text contains "class Solution", for which the checker looks
    bare: bool = False  # the rewriting failed: the program as it is, without the imports


class _Differs(Exception):
    """The text could differ from the tree."""


def compile_stdin(source: str) -> Code:
    """The code that defines `wrapped_function` and runs the program's imports.

    Raises what compiling raises: SyntaxError, ValueError, RecursionError, MemoryError, …
    """
    try:
        if any(word in source for word in _SEES_LINES):
            raise _Differs
        return _by_lines(source) or _direct(source)
    except _Differs:
        return _written(source)


def compile_function(source: str) -> Code:
    """A functional submission: the checker executes its text as it is, after its imports."""
    return Code(_compile(FUNCTION_HEAD + source), "class Solution" in source)


def _compile(what: Any) -> CodeType:
    return compile(what, FILE, "exec", dont_inherit=True)


def _by_lines(source: str) -> Code | None:
    found = official_lines.rewritten(source)
    if found is None:
        return None
    imports, body = ("\n".join(lines) for lines in found)
    try:
        code = _compile(f"{STDIN_HEAD}{imports}\ndef {_NAME}():\n{body}\n")
    except Exception:
        return None  # the other ways say it as the checker does
    return None if official_lines.names_solution(code) else Code(code, solution=False)


# --------------------------------------------------------------------------- the tree itself


def _direct(source: str) -> Code:
    tree, solution = _tree(source)
    return Code(_compile(tree), solution)


def _tree(source: str) -> tuple[ast.Module, bool]:
    """The tree that the text would have, and whether "class Solution" would be in the text."""
    try:
        tree = ast.parse(source)
    except Exception:
        raise _Differs from None
    statements, inlined = _inline_main(tree.body)
    survey = _Survey(not source.isascii())
    survey.look([*statements])
    for owner, name, index, node in survey.joined:
        new = _rewrite(node, 2 if inlined else 1)
        for part in ast.walk(new):
            if isinstance(part, ast.expr):
                part.lineno = part.end_lineno = node.lineno
                part.col_offset = part.end_col_offset = 0
        if index is None:
            setattr(owner, name, new)
        else:
            getattr(owner, name)[index] = new
    imports = [s for s in statements if isinstance(s, ast.Import | ast.ImportFrom)]
    rest = [s for s in statements if not isinstance(s, ast.Import | ast.ImportFrom)]
    place: dict[str, Any] = {"lineno": 1, "col_offset": 0, "end_lineno": 1, "end_col_offset": 0}
    zero = ast.Expr(ast.Constant(0, **place), **place)  # so that no __future__ import is first
    place["lineno"] = place["end_lineno"] = 2
    tree.body = [zero, *imports, _function(rest, **place)]
    return tree, survey.solution


def _function(body: list[ast.stmt], **place: Any) -> ast.stmt:
    arguments = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    return ast.FunctionDef(name=_NAME, args=arguments, body=body, decorator_list=[], **place)


def _inline_main(body: list[ast.stmt]) -> tuple[list[ast.stmt], bool]:
    """The statements with a last main guard replaced by its block (its `else` is lost)."""
    last = body[-1] if body else None
    if not isinstance(last, ast.If):
        return body, False
    match last.test:
        case ast.Compare(
            left=ast.Name(id="__name__"),
            ops=[ast.Eq()],
            comparators=[ast.Constant(value="__main__", kind=None)],
        ):
            return [*body[:-1], *last.body], True
    return body, False


class _Survey:
    """One walk over a tree, level by level. Raises _Differs where only the text is right.

    It puts every statement on a line of its own, as the text does: for two statements on one
    line the compiler makes other code, which a signal can interrupt elsewhere.
    """

    def __init__(self, names: bool) -> None:
        self._names = names  # identifiers have to be looked at
        self.solution = False
        self.joined: list[tuple[Any, str, int | None, ast.JoinedStr]] = []

    def look(self, level: list[Any]) -> None:
        """Look at these nodes (not f-strings) and all below."""
        depth, line = 0, 2  # the first two are taken
        while level:
            depth += 1
            if depth > _MAX_DEPTH:
                raise _Differs
            below: list[Any] = []
            for node in level:
                kind = type(node)
                if kind is ast.Constant:
                    self._constant(node.value)
                    continue
                if kind in _ON_OWN_LINE:
                    line += 1
                    here = node.lineno = node.end_lineno = line
                    node.col_offset = node.end_col_offset = 0
                    if kind is ast.ClassDef and node.name.startswith("Solution"):
                        self.solution = True
                else:
                    here = node.lineno
                    if kind is ast.withitem and isinstance(node.context_expr, ast.Tuple):
                        raise _Differs  # written as several context managers
                if self._names:
                    self._identifiers(node)
                for name, value in [*node.__dict__.items()]:
                    kind = type(value)
                    if kind is list:
                        for index, item in enumerate(value):
                            kind = type(item)
                            if kind in _NO_CHILDREN:
                                continue
                            item.col_offset = item.end_col_offset = 0
                            item.lineno = item.end_lineno = here
                            if name == "decorator_list":
                                line += 1
                                item.lineno = item.end_lineno = line
                            if kind is ast.JoinedStr:
                                self._string(node, name, index, item)
                            else:
                                below.append(item)
                    elif kind not in _NO_CHILDREN:
                        value.col_offset = value.end_col_offset = 0
                        value.lineno = value.end_lineno = here
                        if kind is ast.JoinedStr:
                            self._string(node, name, None, value)
                        else:
                            below.append(value)
            level = below

    def _constant(self, value: Any) -> None:
        kind = type(value)
        if kind is str:
            self.solution = self.solution or "class Solution" in value
        elif kind is int:
            if value.bit_length() > _MAX_INT_BITS:
                raise _Differs
        elif kind is bytes:
            self.solution = self.solution or b"class Solution" in value

    def _identifiers(self, node: ast.AST) -> None:
        # The parser turns identifiers into their NFKC form, which may be a keyword.
        for value in node.__dict__.values():
            values = value if type(value) is list else (value,)
            if any(type(v) is str and (not v.isascii() or v in _KEYWORDS) for v in values):
                raise _Differs

    def _string(self, owner: Any, name: str, index: int | None, node: ast.JoinedStr) -> None:
        self.joined.append((owner, name, index, node))
        for part in ast.walk(node):
            if isinstance(part, ast.Constant):
                self._constant(part.value)
            elif self._names:
                self._identifiers(part)


def _rewrite(node: ast.JoinedStr, times: int) -> ast.expr:
    """What is left of an f-string after writing and parsing it."""
    new: ast.expr = node
    try:
        for _ in range(times):
            new = ast.parse(ast.unparse(new), mode="eval").body
    except Exception:
        raise _Differs from None
    return new


# --------------------------------------------------------------------------- through its text


def _written(source: str) -> Code:
    """By the official checker's own steps."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(_RECURSION + _frames())
    try:
        text, bare = _text(source)
        return Code(_compile(text), "class Solution" in text, bare)
    finally:
        sys.setrecursionlimit(limit)


def _text(source: str) -> tuple[str, bool]:
    """The text that is executed, and whether it is the program as it is."""
    cleaned = _cleaned_text(source)
    wrapped = _wrapped_text(cleaned)
    return (cleaned, True) if wrapped is None else (wrapped, False)


def _cleaned_text(source: str) -> str:
    try:
        body = ast.parse(source).body
        last = body[-1]
        guard = ast.unparse(last.test).strip() if isinstance(last, ast.If) else ""
        if isinstance(last, ast.If) and guard == "__name__ == '__main__'":
            return f"{_unparse(body[:-1])}\n{_unparse(last.body)}"
    except Exception:
        pass
    return source


def _wrapped_text(source: str) -> str | None:
    try:
        body = ast.parse(source).body
        imports = [s for s in body if isinstance(s, ast.Import | ast.ImportFrom)]
        rest = [s for s in body if not isinstance(s, ast.Import | ast.ImportFrom)]
        function = _function(rest, lineno=-1)
        return f"{STDIN_HEAD}{_unparse(imports)}\n{ast.unparse(function)}"
    except Exception:
        return None


def _unparse(statements: Any) -> str:
    return ast.unparse(statements)  # a list works, as the checker knows


def _frames() -> int:
    depth, frame = 0, sys._getframe(1)
    while frame is not None:
        depth, frame = depth + 1, frame.f_back  # type: ignore[assignment]
    return depth
