from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars2.prompts import extract_code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("```python\nprint(1)\n```", "print(1)\n"),
        ("Sure!\n```\nprint(1)\n```\nDone.", "print(1)\n"),
        ("```py\nx = 1\n```", "x = 1\n"),
        ("```Python\nx = 1\n```", "x = 1\n"),
        ("``` python title='a'\nx = 1\n```", "x = 1\n"),
        ("~~~python\nx = 1\n~~~", "x = 1\n"),
        ("```python\r\nx = 1\r\ny = 2\r\n```\r\n", "x = 1\ny = 2\n"),
        ("````python\ns = '''\n```\n'''\n````", "s = '''\n```\n'''\n"),
        ("1. Do:\n   ```python\n   if x:\n       y()\n   ```", "if x:\n    y()\n"),
        ("```python print(1)```", "print(1)\n"),
        ("```print(1)```", "print(1)\n"),
    ],
)
def test_a_fenced_block_is_found(text, code):
    assert extract_code(text) == code


def test_the_last_block_wins():
    assert extract_code("```python\na = 1\n```\nBetter:\n```python\nb = 2\n```") == "b = 2\n"
    assert extract_code("```python\na = 1\n```\nBetter:\n```\nb = 2\n```") == "b = 2\n"


@pytest.mark.parametrize(
    "illustration",
    [
        "```\n10\n```",
        "```\n1 2\nYES\n```",
        "```python\nprint(f(3))  # 6\n```",
        "```python\nresult = f(3)\nassert result == 6\nprint(result)\n```",
        "```python\nprint(f(3))",
    ],
)
@pytest.mark.parametrize(
    "program",
    ["def f(x):\n    return 2 * x\n", "print(2 * int(input()))\n", "f = lambda x: 2 * x\n"],
)
def test_an_illustration_does_not_replace_the_program(program, illustration):
    text = f"```python\n{program}```\nExample:\n{illustration}"
    assert extract_code(text) == program


def test_among_short_programs_or_broken_ones_the_last_wins():
    assert extract_code("```python\nprint(1)\n```\nNo:\n```python\nprint(2)\n```") == "print(2)\n"
    broken = "```python\ndef f(x): return 1\n```\n```python\ndef f(x): return (\n```"
    assert extract_code(broken) == "def f(x): return (\n"


def test_blocks_of_other_languages_are_ignored():
    assert extract_code("```python\na = 1\n```\nOutput:\n```text\n3\n```") == "a = 1\n"
    assert extract_code("```json\n{}\n```") is None


def test_an_unclosed_last_fence_counts_to_the_end():
    assert extract_code("```python\ndef f(x):\n    return x +") == "def f(x):\n    return x +\n"
    assert extract_code("```python\na = 1\n```\nOr\n```python\nb = 2\n") == "b = 2\n"


def test_an_empty_block_does_not_hide_an_earlier_one():
    assert extract_code("```python\na = 1\n```\n```python\n\n```") == "a = 1\n"
    assert extract_code("```python\na = 1\n```\n```python") == "a = 1\n"
    assert extract_code("```python\n```") is None


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n    return x\n```\n\nIt returns x.",
        "\ndef f(x):\n    return x\n```",
        "def f(x): return 2\n```\nOr:\n```python\ndef f(x):\n    return x\n```\nDone.",
        "```\ndef f(x): return 2\n```python\ndef f(x):\n    return x\n```",
    ],
)
def test_a_missing_fence_does_not_turn_the_answer_inside_out(text):
    code = extract_code(text)
    assert code is not None
    assert "def f(x):" in code
    assert "returns x" not in code
    assert "Or:" not in code


def test_prose_before_a_bare_block_is_not_a_missing_fence():
    for prose in ("# Solution", "Here it is:", "Answer: yes", "1."):
        assert extract_code(f"{prose}\n```\nx = 1\n```") == "x = 1\n"


@pytest.mark.parametrize(
    "text",
    [
        "print(1)",
        "x = 1",
        "def f(a): return a",
        "import sys\nprint(sys.stdin.read())",
        "    return x + 1",
        "a, b = map(int, input().split())\nprint(a + b)",
        "for i in range(3):\n    print(i)",
        "# add\nprint(int(input()) + 1)",
        "def f(a): return [x * 2 fo",  # a broken program is still a program
        "def f(a):\n    return (a +",
        "print('\\d')",
        "pass",
    ],
)
def test_short_programs_without_a_fence_count(text):
    assert extract_code(text) == text + "\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  \n\t\n",
        "Hello",
        "42",
        "I cannot do that.",
        "Sorry, no",
        "yes or no",
        "Hello (world)",
        "Answer: yes",
        "The answer is x = 3.",
        "if you want: ask",
        "import duties are high",
        "Here is the code",
        "return to sender, please",
        "\x00",
        "(" * 500,
    ],
)
def test_prose_is_not_code(text):
    assert extract_code(text) is None


@given(st.text(alphabet=st.sampled_from("`~ \npython:=()x1\r\"'#")))
def test_any_text_gives_code_or_none(text):
    code = extract_code(text)
    assert code is None or (code.strip() and code.endswith("\n"))


@given(st.text())
def test_what_is_fenced_comes_back(body):
    body = body.replace("\r", "").replace("`", "").replace("~", "")
    code = extract_code(f"Here:\n```python\n{body}\n```\nThat is all.")
    if body.strip():
        assert code == body.strip("\n").rstrip() + "\n"
    else:
        assert code is None
