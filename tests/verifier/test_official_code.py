"""Compiling the rewritten tree gives what the official checker's text gives."""

from __future__ import annotations

import ast
import dis
import random
import sys
from pathlib import Path
from types import CodeType
from typing import Any

import lcb_programs
import pytest

from mars2.verifier._sandbox import official_code

_LIBRARY = Path(random.__file__).parent


def _check(source: str) -> bool:
    """True if the tree is compiled; asserts that it is the tree of the text."""
    check_lines(source)
    try:
        tree, solution = official_code._tree(source)
    except official_code._Differs:
        return False
    text, bare = official_code._text(source)
    assert not bare, source
    assert ("class Solution" in text) is solution, source
    try:
        expected = official_code._compile(text)
    except (SyntaxError, ValueError):
        with pytest.raises((SyntaxError, ValueError)):
            official_code._compile(tree)
    else:
        assert ast.dump(ast.parse(text)) == ast.dump(tree), source
        assert _same(official_code._compile(tree), expected), source
    return True


def check_lines(source: str) -> bool:
    """True if the program is rewritten by lines; asserts that the text gives the same code."""
    code = official_code._by_lines(source)
    if code is None:
        return False
    text, bare = official_code._text(source)
    assert not bare, source
    assert "class Solution" not in text, source
    assert _same(code.code, official_code._compile(text)), source
    return True


def _same(one: Any, other: Any) -> bool:
    """The same code but for the numbers of lines.

    By instructions, not bytes: equal functions in one line are one constant or two.
    """
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if not isinstance(one, CodeType) or not isinstance(other, CodeType):
        return type(one) is type(other) and (one == other or repr(one) == repr(other))
    names = ("co_name", "co_exceptiontable", "co_names", "co_varnames", "co_flags")
    if not all(getattr(one, name) == getattr(other, name) for name in names):
        return False
    mine, theirs = list(dis.get_instructions(one)), list(dis.get_instructions(other))
    return len(mine) == len(theirs) and all(
        a.opname == b.opname and a.offset == b.offset and _same(a.argval, b.argval)
        for a, b in zip(mine, theirs, strict=True)
    )


def _compare_library(monkeypatch: pytest.MonkeyPatch, step: int) -> tuple[int, int]:
    monkeypatch.setattr(official_code, "_SEES_LINES", ())
    direct = total = 0
    for path in sorted(_LIBRARY.rglob("*.py"))[::step]:
        if "lib2to3" in str(path) or "site-packages" in str(path):
            continue
        total += 1
        direct += _check(path.read_text("utf-8", "surrogateescape"))
    return direct, total


@pytest.mark.filterwarnings("ignore")
def test_the_tree_of_library_modules_is_what_their_text_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The standard library holds every construct there is, even if submissions do not."""
    direct, total = _compare_library(monkeypatch, 60)
    assert direct > total * 0.6


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_tree_of_more_library_modules_is_what_their_text_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    direct, total = _compare_library(monkeypatch, 8)
    assert direct > total * 0.6


@pytest.mark.filterwarnings("ignore")
def test_the_tree_of_random_programs_is_what_their_text_gives() -> None:
    seeds = range(400)
    assert sum(_check(lcb_programs.program(random.Random(seed))[0]) for seed in seeds) > 200


@pytest.mark.parametrize(
    "source",
    [
        "ｉｆ = 1",  # an identifier that is a keyword once it is normalised
        "x = " + "(" * 95 + "1" + ",)" * 95,
        "x = " + " + ".join(["a"] * 3000),
        "x = 0x" + "f" * 45_000,
        "with (a, b) as c: pass",
    ],
)
def test_where_the_text_could_differ_it_is_made(source: str) -> None:
    with pytest.raises(official_code._Differs):
        official_code._direct(source)


def test_who_looks_at_line_numbers_gets_those_of_the_text() -> None:
    source = "import traceback\n\n\nx = 1\n"
    code = official_code.compile_stdin(source).code
    body = next(value for value in code.co_consts if isinstance(value, CodeType))
    assert body.co_firstlineno == 38  # the imports are in the 37th


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("class  Solution: pass", True),
        ("class SolutionX: pass", True),
        ("x = 'a class Solution'", True),
        ("x = 'class S' 'olution'", True),
        ("x = f'class Solution{1}'", True),
        ("x = b'class Solution'", True),
        ("# class Solution\nx = 1", False),
        ("x = 'class  Solution'", False),
        ("class Other: pass", False),
    ],
)
def test_the_words_class_solution_are_found_as_in_the_text(source: str, found: bool) -> None:
    assert official_code._direct(source).solution is found
    assert official_code._written(source).solution is found


def test_a_function_is_compiled_as_it_is() -> None:
    assert official_code.compile_function("class  Solution: pass").solution is False
    assert official_code.compile_function("# class Solution").solution is True
    with pytest.raises(SyntaxError):
        official_code.compile_function("from __future__ import annotations")


def test_a_program_that_cannot_be_written_runs_as_it_is() -> None:
    limit = sys.getrecursionlimit()
    assert official_code.compile_stdin("x = " + " + ".join(["1"] * 900)).bare
    assert sys.getrecursionlimit() == limit


# --------------------------------------------------------------------------- by lines

PLAIN = [
    "n = int(input())\nprint(n * 2)\n",
    "import sys\nfrom a import deque\n\ndef f(a):\n    # why\n    return a\n\nprint(f(1))",
    "import os\nif __name__ == '__main__':\n    import sys\n    print(sys.argv)\n",
    'def f():\n  if x:\n    return 1\n  else:\n    return 2\nif __name__=="__main__" :\n  f()',
    "@print\nclass A:\n    import sys\n    x = 'a'\nprint('', \"\", ' ')",
    "for i in range(3):\n    print(i)\nelse:\n    print()",
]
NOT_PLAIN = {
    "indented from the start": " x = 1\n y = 2",
    "an import between the branches": "if x:\n    y = 1\nimport z\nelse:\n    y = 2",
    "an import where a block should be": "if x:\nimport y\n z = 1",
    "a decorated import": "@d\nimport x\ndef f():\n    pass",
    "a block after an import": "import x\n    y = 1",
    "a decorated guard": "@d\nif __name__ == '__main__':\n    def f():\n        pass",
    "nothing but imports": "import x\nimport y",
    "nothing": "# nothing\n",
    "a guard without a block": "x = 1\nif __name__ == '__main__':\n# end",
    "a guard that is not last": "if __name__ == '__main__':\n    x = 1\ny = 2",
    "a guard with an else": "if __name__ == '__main__':\n    x = 1\nelse:\n    x = 2",
    "a guard in brackets": "if (__name__ == '__main__'):\n    x = 1",
    "a guard in one line": "x = 1\nif __name__ == '__main__': x = 2",
    "two guards": "if __name__ == '__main__':\n    x = 1\nif __name__ == '__main__':\n    x = 2",
    "several lines": "x = (1 +\n2)",
    "a string of several lines": 'x = """a\nimport y\n"""',
    "statements in one line": "x = 1; y = 2",
    "a block in one line": "if x: y = 1",
    "tabs": "if x:\n\ty = 1",
    "a continued line": "x = 1 + \\\n2",
    "an f-string": "x = f'{1}'",
    "letters": "x = 'é'",
    "escapes": "x = '\\x41'",
    "the future": "from __future__ import annotations\nx = 1",
    "the word": "x = 'class Solution'",
    "the word in parts": "x = 'class Sol' 'ution'",
    "the word in parts of bytes": "x = (1, b'class Sol' b'ution')",
}
FRAGMENTS = (
    *("x = 1", "if x:", "else:", "elif y:", "import os", "from a import b", "def f():", "return x"),
    *("@d", "class A:", "for i in y:", "print(' ')", "# c", "", "pass", "try:", "except E:"),
    *("finally:", "while x: y = 1", "x = 'a' 'b'", "with x as y:", "if __name__ == '__main__':"),
    *(
        "x = [",
        "]",
        "global x",
        "lambda: 1",
        "x: int = 2",
        "'text'",
        "yield",
        "match x:",
        "case 1:",
    ),
    *('if __name__ == "__main__" :', "if __name__ == '__main__': x", "(x)", "x = -1 ** 2", "del x"),
)


@pytest.mark.parametrize("source", PLAIN)
def test_plain_programs_are_rewritten_by_lines(source: str) -> None:
    assert check_lines(source)


@pytest.mark.parametrize("source", NOT_PLAIN.values(), ids=NOT_PLAIN.keys())
def test_others_are_not_rewritten_by_lines(source: str) -> None:
    assert official_code._by_lines(source) is None


@pytest.mark.filterwarnings("ignore")
def test_random_lines_are_rewritten_as_the_checker_does() -> None:
    rng = random.Random(0)
    plain = 0
    for _ in range(30_000):
        lines = [
            " " * rng.choice((0, 0, 0, 0, 1, 2, 2, 4)) + rng.choice(FRAGMENTS)
            for _ in range(rng.randint(1, 7))
        ]
        plain += check_lines("\n".join(lines))
    assert plain > 1000
