"""A run's trees as JSON, as a DOT graph for Graphviz, as a Mermaid flowchart.

Names and labels come from models and files: each format's own escapes keep them text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from mars2.training.rundir import finite
from mars2.viewer.forest import Shoot, Tree
from mars2.viewer.recorder import generation_of
from mars2.viewer.run import Run

SCHEMA = 1
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b5a300")
_ALIKE = dict.fromkeys(range(0x20), " ") | dict.fromkeys(range(0x7F, 0xA0), " ")


def to_json(run: Run, trees: Sequence[Tree], *, full: bool = False) -> str:
    """One object; docs/viewer.md describes it. `full` keeps token ids and log-probabilities."""
    value = {
        "schema": SCHEMA,
        "run": {"name": run.name, "kind": run.kind, "notes": run.notes},
        "agents": _agents(trees),
        "trees": [_tree(tree, full) for tree in trees],
    }
    return json.dumps(finite(value), allow_nan=False) + "\n"


def diagrams(trees: Sequence[Tree], format_: Literal["html", "json", "dot", "mermaid"]) -> str:
    """All trees in one graph, a part each, in "dot" or "mermaid"."""
    lines = _dot(trees) if format_ == "dot" else _mermaid(trees)
    return "\n".join(lines) + "\n"


def _tree(tree: Tree, full: bool) -> dict[str, Any]:
    return {
        "id": tree.id,
        "group": tree.place.group,
        "problem": tree.place.problem,
        **tree.result,
        "nodes": [_node(shoot, full) for shoot in tree.shoots.values()],
    }


def _node(shoot: Shoot, full: bool) -> dict[str, Any]:
    asked, node = shoot.asked, shoot.node
    keys = ("node_id", "parent_id", "depth", "agent", "action", "references")
    found = {k: asked.get(k) for k in keys}
    found |= {
        "state": shoot.state,
        "asked_at": asked["seconds"],
        "ended_at": shoot.ended_at,
        "error": shoot.error,
    }
    if node is not None:
        whole = node["generation"]
        generation = {"text": whole["text"], **generation_of(whole)}
        if full:
            generation |= {k: whole[k] for k in ("prompt_ids", "token_ids", "logprobs")}
        found |= {k: node[k] for k in ("reward", "code", "prompt", "verdict")}
        found["generation"] = generation
    return found


def _agents(trees: Sequence[Tree]) -> list[str]:
    return list(dict.fromkeys(s.asked["agent"] for t in trees for s in t.shoots.values()))


def _label(shoot: Shoot) -> list[str]:
    """The lines of a node's label."""
    asked, node = shoot.asked, shoot.node
    lines = [f"{asked['node_id']} {asked['agent']}"]
    if shoot.state == "told" and node is not None:
        verdict = node["verdict"]
        lines.append(f"{verdict['status']} {verdict['passed']}/{verdict['total']}")
        lines.append(f"reward {node['reward']:.3g}")
    else:
        lines.append(shoot.state)
    return lines


def _marks(tree: Tree, node_id: int) -> tuple[bool, bool]:
    """Is it the selected one, does it pass all tests?"""
    return tree.result.get("selected") == node_id, node_id in (tree.result.get("passed") or [])


# ---------------------------------------------------------------------- DOT


def _dot(trees: Sequence[Tree]) -> Iterator[str]:
    colours = _colours(trees)
    yield "digraph mars2 {"
    yield '  node [fontname="sans-serif", fontsize=10]; edge [arrowsize=0.5];'
    for number, tree in enumerate(trees):
        yield f"  subgraph cluster_{number} {{"
        yield f"    label={_dot_text([tree.id])}; color=gray;"
        yield f"    t{number}_0 [shape=diamond, label={_dot_text([tree.place.problem])}];"
        for node_id, shoot in tree.shoots.items():
            yield f"    t{number}_{node_id} [{_dot_look(tree, node_id, shoot, colours)}];"
            parent = shoot.asked["parent_id"] or 0
            yield f"    t{number}_{parent} -> t{number}_{node_id};"
        yield "  }"
    yield "}"


def _dot_look(tree: Tree, node_id: int, shoot: Shoot, colours: dict[str, str]) -> str:
    selected, passed = _marks(tree, node_id)
    lines = [*_label(shoot), *(["selected"] if selected else [])]
    shape = "ellipse" if shoot.asked["parent_id"] is None else "box"
    look = [f"shape={shape}", f"label={_dot_text(lines)}", f'color="{_colour(shoot, colours)}"']
    look.append(f"penwidth={3 if selected else 2}")
    if passed:
        look.append("peripheries=2")
    if shoot.state != "told":
        look.append("style=dashed")
    return ", ".join(look)


def _dot_text(lines: Sequence[str]) -> str:
    """A quoted string; in labels a backslash begins an escape, so it is doubled."""
    plain = (_printable(line).replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(plain) + '"'


# ---------------------------------------------------------------------- Mermaid


def _mermaid(trees: Sequence[Tree]) -> Iterator[str]:
    colours = _colours(trees)
    yield "flowchart TD"
    for number, tree in enumerate(trees):
        yield f"  subgraph t{number} [{_mermaid_text([tree.id])}]"
        yield f"    t{number}_0{{{_mermaid_text([tree.place.problem])}}}"
        for node_id, shoot in tree.shoots.items():
            selected, passed = _marks(tree, node_id)
            extra = ["passes all tests"] if passed else []
            text = _mermaid_text([*_label(shoot), *extra, *(["selected"] if selected else [])])
            first = shoot.asked["parent_id"] is None
            shape = f"([{text}])" if first else f"[{text}]"
            yield f"    t{number}_{shoot.asked['parent_id'] or 0} --> t{number}_{node_id}{shape}"
            width = 4 if selected else 2
            dash = "" if shoot.state == "told" else ",stroke-dasharray:4"
            colour = _colour(shoot, colours)
            yield f"    style t{number}_{node_id} stroke:{colour},stroke-width:{width}px{dash}"
        yield "  end"


def _mermaid_text(lines: Sequence[str]) -> str:
    """A quoted label. Mermaid reads `#code;` as that character, also within quotes; whatever it
    or Markdown or HTML could read is written so.
    """
    return '"' + "<br/>".join("".join(map(_mermaid_char, _printable(s))) for s in lines) + '"'


def _mermaid_char(char: str) -> str:
    return char if char.isalnum() or char in " .,/:-" else f"#{ord(char)};"


# ---------------------------------------------------------------------- both


def _printable(text: str) -> str:
    """One line of valid Unicode."""
    return text.translate(_ALIKE).encode("utf-8", "replace").decode()


def _colours(trees: Sequence[Tree]) -> dict[str, str]:
    return {a: _COLOURS[i % len(_COLOURS)] for i, a in enumerate(_agents(trees))}


def _colour(shoot: Shoot, colours: dict[str, str]) -> str:
    return colours[shoot.asked["agent"]]
