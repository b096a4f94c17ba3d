"""Fields that hold Python: refused if Python refuses them, never run."""

from __future__ import annotations

import ast
import warnings

from mars2.problems.fields import Fields


def parsed(fields: Fields, name: str, at: str = "", text: str | None = None) -> ast.Module:
    """The syntax tree of a field's program; of `text`, if the program is a part of it.

    Raises RowError naming the line that Python does not understand.
    """
    if text is None:
        text = fields.text(name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        fields.fail(f"{name}{at}", f"is not Python: {error.msg} (line {error.lineno})")
    except (ValueError, RecursionError, MemoryError) as error:
        fields.fail(f"{name}{at}", f"is not Python: {str(error) or type(error).__name__}")
