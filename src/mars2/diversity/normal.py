"""Programs without what does not matter: names, comments, formatting, annotations, docstrings.

Two views of one canonical tree. The *fingerprint* keeps constants and which name is which: equal
for programs that differ only by a consistent renaming, by comments or by layout. The *profile*
keeps neither and is what distances are computed from.

Everything walks with explicit stacks: a program may be nested as deep as the parser lets it.
"""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from mars2 import syntax

MAX_CHARACTERS = 200_000
"""Longer programs are not parsed."""
MAX_NODES = 20_000
"""Programs whose canonical tree is larger are not compared."""

P, Q = 2, 3
"""Ancestors and siblings of a pq-gram, as Augsten et al. recommend."""

Profile = Counter[tuple[str, ...]]
Why = Literal["syntax", "too_large"]

_SKIPPED = {"ctx", "type_comment", "annotation", "returns", "type_params", "op", "ops", "simple"}
_GROUPED = {"orelse", "finalbody", "handlers", "decorator_list", "keywords", "ifs"}
_DROPPED = (ast.Import, ast.ImportFrom, ast.Pass, ast.Global, ast.Nonlocal)


def parse(code: str) -> ast.Module | Why:
    """The syntax tree, or why there is none. Never raises, never runs anything.

    "syntax": not Python 3 (or nested too deep for its parser). "too_large": more than
    `MAX_CHARACTERS`.
    """
    if len(code) > MAX_CHARACTERS:
        return "too_large"
    try:
        return syntax.parse(code)
    except syntax.NOT_PYTHON:
        return "syntax"


@dataclass(frozen=True, slots=True)
class Normal:
    """A canonical program: equal fingerprints are duplicates, profiles have distances."""

    fingerprint: str
    profile: Profile


@dataclass(slots=True)
class _Tree:
    label: str
    exact: str
    children: list[_Tree] = field(default_factory=list)


def normalise(module: ast.Module) -> Normal | None:
    """The canonical views; None for a tree of more than `MAX_NODES` nodes."""
    tree = _canonical(module)
    return None if tree is None else Normal(_fingerprint(tree), _profile(tree))


def distance(a: Profile, b: Profile) -> float:
    """1 − |A ∩ B| / |A ∪ B| of two bags of pq-grams, in [0, 1] (Jaccard distance).

    ∩ takes the smaller count, ∪ the larger. It is the normalised pq-gram distance of Augsten,
    Böhlen and Gamper 2010 (ACM TODS 35:1, section 5), which obeys the triangle inequality. Two
    empty bags are equal.
    """
    if len(a) > len(b):
        a, b = b, a
    shared = sum(min(count, b[gram]) for gram, count in a.items() if gram in b)
    union = a.total() + b.total() - shared
    return 1.0 - shared / union if union else 0.0


def constant_text(value: object) -> str:
    """Equal for equal constants of one type."""
    # Hexadecimal: the decimal text of a huge number is refused by Python.
    text = hex(value) if type(value) is int else repr(value)
    return f"constant {type(value).__name__} {text}"


# --------------------------------------------------------------------------- names


def imported_names(module: ast.Module) -> dict[str, str]:
    """Local name → dotted origin, of every import: `import heapq as h` gives h: heapq."""
    found: dict[str, str] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    found[alias.asname] = alias.name
                else:
                    top = alias.name.partition(".")[0]
                    found[top] = top
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module or ''}.{alias.name}"
    return found


def bound_names(module: ast.Module) -> tuple[set[str], set[str]]:
    """Names, and attributes, that the program itself gives a meaning."""
    names: set[str] = set()
    attributes: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
            if isinstance(node, ast.ClassDef):
                attributes |= _members(node)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            attributes.add(node.attr)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            names.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            names.add(node.rest)
    return names, attributes


def _members(node: ast.ClassDef) -> set[str]:
    """Methods and class variables; special methods mean the same in every program."""
    found = set()
    for item in node.body:
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(item.name)
        elif isinstance(item, ast.Assign):
            found |= {t.id for t in item.targets if isinstance(t, ast.Name)}
    return {name for name in found if not (name.startswith("__") and name.endswith("__"))}


# --------------------------------------------------------------------------- canonical tree


class _Namer:
    """Labels of identifiers: placeholders for the program's own, origins for imported ones."""

    def __init__(self, module: ast.Module) -> None:
        self.names, self.attributes = bound_names(module)
        self.imported = imported_names(module)
        self._numbers: dict[str, int] = {}

    def name(self, name: str) -> tuple[str, str]:
        """(for distances, for fingerprints)"""
        if name in self.names:
            return "name", self._number(name)
        origin = self.imported.get(name, name)
        return f"name {origin}", f"name {origin}"

    def attribute(self, name: str) -> tuple[str, str]:
        if name in self.attributes:
            return "attribute", f"attribute {self._number(name)}"
        return f"attribute {name}", f"attribute {name}"

    def keyword(self, name: str | None) -> tuple[str, str]:
        if name is not None and name in self.names:
            return "keyword", f"keyword {self._number(name)}"
        return f"keyword {name}", f"keyword {name}"

    def _number(self, name: str) -> str:
        return f"name {self._numbers.setdefault(name, len(self._numbers))}"


def _canonical(module: ast.Module) -> _Tree | None:
    namer = _Namer(module)
    root = _Tree("Module", "Module")
    size = 0
    # (what to convert, the node it goes under); a pair of text and list is a group.
    todo: list[tuple[Any, _Tree]] = [(item, root) for item in reversed(_body(module.body))]
    while todo:
        item, parent = todo.pop()
        size += 1
        if size > MAX_NODES:
            return None
        if isinstance(item, tuple):
            tree = _Tree(item[0], item[0])
            children = item[1]
        else:
            tree = _Tree(*_labels(item, namer))
            children = list(_parts(item))
        parent.children.append(tree)
        todo.extend((child, tree) for child in reversed(children))
    return root


def _parts(node: ast.AST) -> Iterator[Any]:
    """Children of a node in order; lists that would blur into others become groups."""
    for name, value in ast.iter_fields(node):
        if name in _SKIPPED:
            continue
        if isinstance(value, ast.AST):
            yield value
        elif isinstance(value, list):
            items = _body([v for v in value if isinstance(v, ast.AST)])
            if name in _GROUPED:
                if items:
                    yield (name, items)
            else:
                yield from items


def _body(items: list[Any]) -> list[Any]:
    """Without what has no effect on a result: docstrings, imports, `pass`, bare annotations."""
    return [
        item
        for item in items
        if not isinstance(item, _DROPPED)
        and not (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant))
        and not (isinstance(item, ast.AnnAssign) and item.value is None)
    ]


def _labels(node: Any, namer: _Namer) -> tuple[str, str]:
    kind = type(node).__name__
    match node:
        case ast.Name():
            return namer.name(node.id)
        case ast.arg():
            return "parameter", "parameter " + namer.name(node.arg)[1]
        case ast.Attribute():
            return namer.attribute(node.attr)
        case ast.keyword():
            return namer.keyword(node.arg)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return kind, f"{kind} {namer.name(node.name)[1]}"
        case ast.Constant():
            return f"constant {type(node.value).__name__}", constant_text(node.value)
        case ast.AnnAssign():
            return "Assign", "Assign"
        case ast.BinOp() | ast.UnaryOp() | ast.BoolOp() | ast.AugAssign():
            label = f"{kind} {type(node.op).__name__}"
        case ast.Compare():
            label = "Compare " + " ".join(type(op).__name__ for op in node.ops)
        case ast.ExceptHandler() | ast.MatchAs() | ast.MatchStar() if node.name:
            return kind, f"{kind} {namer.name(node.name)[1]}"
        case ast.FormattedValue():
            return kind, f"{kind} {node.conversion}"
        case ast.comprehension():
            label = f"{kind} async" if node.is_async else kind
        case _:
            label = kind
    return label, label


def _fingerprint(tree: _Tree) -> str:
    """SHA-256 of all exact labels in preorder with their numbers of children."""
    digest = hashlib.sha256()
    todo = [tree]
    while todo:
        node = todo.pop()
        text = f"{len(node.children)} {len(node.exact)} {node.exact}\n"
        digest.update(text.encode("utf-8", "surrogatepass"))
        todo.extend(reversed(node.children))
    return digest.hexdigest()


def _profile(tree: _Tree) -> Profile:
    """The bag of pq-grams: P − 1 ancestors and a node, with Q consecutive children of it.

    Missing ancestors and children are "*": a node with k children has k + Q − 1 grams, a leaf one.
    """
    profile: Profile = Counter()
    empty = ("*",) * Q
    edge = ["*"] * (Q - 1)
    todo: list[tuple[_Tree, tuple[str, ...]]] = [(tree, ("*",) * (P - 1))]
    while todo:
        node, above = todo.pop()
        stem = (*above, node.label)
        if not node.children:
            profile[stem + empty] += 1
            continue
        row = [*edge, *(child.label for child in node.children), *edge]
        for i in range(len(row) - Q + 1):
            profile[(*stem, *row[i : i + Q])] += 1
        below = stem[1:]
        todo.extend((child, below) for child in node.children)
    return profile
