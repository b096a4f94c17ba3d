"""Compositions as programs, in the two styles the lab's agents write.

Both are correct Python; they share no variable names, so that an agent that reads the other's
program really has to translate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from mars2.lab.families.compose import Composition

Style = Literal["comprehension", "loop"]
STYLES: tuple[Style, ...] = ("comprehension", "loop")


def render(composition: Composition, style: Style) -> str:
    """The program of a composition, without a final newline."""
    return _comprehension(composition) if style == "comprehension" else _loop(composition)


def _comprehension(composition: Composition) -> str:
    voc = composition.vocabulary
    *body, last = composition.steps
    source, element, condition = voc.items, "x", ""
    for step in body:
        if step.pair.kind == "filter" and element == "x":
            condition = f" if {step.expr(x='x')}"
        elif step.pair.kind == "filter":
            # a filter after a map reads the mapped value: it needs a comprehension of its own
            source, element = f"[{element} for x in {source}{condition}]", "x"
            condition = f" if {step.expr(x='x')}"
        else:
            element = step.expr(x="x")
    values = f"[{element} for x in {source}{condition}]"
    return f"def f({voc.arg}):return {last.expr(a=values)}"


def _loop(composition: Composition) -> str:
    voc = composition.vocabulary
    *body, last = composition.steps
    lines = [f"def f({voc.arg}):", " r=[]", f" for v in {voc.items}:"]
    indent = "  "
    for step in body:
        if step.pair.kind == "filter":
            lines.append(f"{indent}if {step.expr(x='v')}:")
            indent += " "
        else:
            lines.append(f"{indent}v={step.expr(x='v')}")
    lines += [f"{indent}r.append(v)", f" return {last.expr(a='r')}"]
    return "\n".join(lines)


def run(code: str) -> Callable[[Any], Any]:
    """The function `f` of a program that this package rendered (never of a model's program)."""
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    function: Callable[[Any], Any] = namespace["f"]
    return function
