"""Fields that hold Python: refused if Python refuses them, never run."""

from __future__ import annotations

import ast

from mars2.problems.fields import Fields
from mars2.syntax import NOT_PYTHON, parse


def parsed(fields: Fields, name: str, at: str = "", text: str | None = None) -> ast.Module:
    """The syntax tree of a field's program; of `text`, if the program is a part of it.

    Raises RowError naming the line that Python does not understand.
    """
    if text is None:
        text = fields.text(name)
    try:
        return parse(text)
    except SyntaxError as error:
        fields.fail(f"{name}{at}", f"is not Python: {error.msg} (line {error.lineno})")
    except NOT_PYTHON as error:
        fields.fail(f"{name}{at}", f"is not Python: {str(error) or type(error).__name__}")
