from __future__ import annotations

import io

from rich.console import Console

from mars2.cli.tree_view import TreeView, growing
from mars2.inference import show
from mars2.types import Generation, Node, Status, Usage, Verdict


def node(number: int, parent: int | None = None, depth: int = 1, ok: bool = False) -> Node:
    return Node(
        tree_id="t",
        node_id=number,
        parent_id=parent,
        depth=depth,
        agent="<b>eve</b>" if number == 3 else "bob",
        action="refine" if parent else "generate",
        prompt=(),
        generation=Generation(text="", usage=Usage(10, 5)),
        code="print(1)",
        verdict=Verdict(
            status=Status.PASSED if ok else Status.WRONG_ANSWER, passed=2 if ok else 1, total=2
        ),
        reward=float(ok),
    )


NODES = [node(1), node(4, 1, 2, ok=True), node(2), node(3, 1, 2), node(5, 4, 3)]


def test_the_outline_is_depth_first_in_order_of_ids() -> None:
    assert [n.node_id for n in show.outline(NODES)] == [1, 3, 4, 5, 2]
    assert show.outline([]) == []


def test_a_chain_of_ten_thousand_nodes_is_no_problem() -> None:
    chain = [node(1)] + [node(n, n - 1, n) for n in range(2, 10_001)]
    assert [n.node_id for n in show.outline(chain)] == [*range(1, 10_001)]


def test_text_shows_who_and_what() -> None:
    lines = show.text(NODES).splitlines()
    assert lines[0] == "✗ 1 bob: 1/2 wrong_answer"
    assert lines[2] == "  ✓ 4 bob: 2/2"
    assert lines[3].startswith("    ")


def test_html_escapes_names_and_programs() -> None:
    page = show.html("<title>", NODES, "print('</div><script>')")
    assert "<script>" not in page
    assert "<b>eve</b>" not in page
    assert "&lt;title&gt;" in page
    assert "5 nodes" in page
    assert "no program" in show.html("t", [], None)


def test_the_live_tree_grows() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, height=40)
    with growing(console, "p/1 [not markup]", 8) as add:
        for each in NODES:
            add(each)
    text = out.getvalue()
    assert "p/1 [not markup]" in text
    assert "✓ 4 bob: 2/2" in text
    assert "5 of 8 nodes, 75 tokens" in text
    plain = io.StringIO()
    view = TreeView("t", 8)
    view.add(node(7, parent=99, depth=5))  # its parent is not known here: shown at the root
    Console(file=plain, width=80).print(view)
    assert "7 bob" in plain.getvalue()
