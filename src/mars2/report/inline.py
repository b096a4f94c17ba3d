"""Panels as SVG to stand inside a page: one drawing for light, dark and print.

matplotlib draws with marker colours, which become the page's CSS variables; text stays text, in
the page's font; ids get a prefix, because all drawings of a page share one namespace.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from xml.etree import ElementTree

from mars2.report.figures import LIGHT, Theme, draw_panel
from mars2.report.panels import Panel
from mars2.report.text import shown

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "{http://www.w3.org/1999/xlink}href"
_COLOURS = len(LIGHT.cycle)
_MARKERS = Theme("#010101", "#010102", "#010103", tuple(f"#0102{i:02x}" for i in range(_COLOURS)))
_VARIABLES = {"#010101": "--ink", "#010102": "--quiet", "#010103": "--line"} | {
    marker: f"--c{i}" for i, marker in enumerate(_MARKERS.cycle)
}
_FRACTION = re.compile(r"-?\d+\.\d{3,}")
_NUMERIC = ("d", "points", "x", "y", "x1", "x2", "y1", "y2", "transform")


def inline_panel(panel: Panel, names: Sequence[str], prefix: str, description: str) -> str:
    """The panel as an `<svg>` element without any colour, font or script of its own.

    Args:
        names: agents, policies or groups, in the order of their colours.
        prefix: of all ids in it; letters and digits.
        description: what a screen reader says after the title.

    Raises:
        ImportError: matplotlib is missing.
    """
    import matplotlib

    drawn = draw_panel(panel, names, _MARKERS)
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "mars2", "svg.fonttype": "none"}):
        drawn.savefig(
            buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True
        )
    root = ElementTree.fromstring(buffer.getvalue())
    _strip(root)
    for element in root.iter():
        _rewrite(element, prefix)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-labelledby", f"{prefix}-title {prefix}-desc")
    for place, (tag, text) in enumerate([("title", panel.title), ("desc", description)]):
        element = ElementTree.Element(tag, {"id": f"{prefix}-{tag}"})
        element.text = shown(text)
        root.insert(place, element)
    return ElementTree.tostring(root, encoding="unicode")


def _strip(element: ElementTree.Element) -> None:
    """Take away metadata, style sheets, which would hold for the whole page, and the unseen."""
    for child in list(element):
        unseen = child.tag == f"{{{_SVG}}}path" and child.get("style") == "fill: none"
        if unseen or child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
            element.remove(child)
        else:
            _strip(child)
            child.tail = None
    if element.tag != f"{{{_SVG}}}text":
        element.text = None


def _rewrite(element: ElementTree.Element, prefix: str) -> None:
    element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
    attributes = element.attrib
    if element.tag in ("g", "svg"):
        attributes.pop("id", None)  # nothing refers to groups
    elif "id" in attributes:
        attributes["id"] = f"{prefix}-{attributes['id']}"
    if _XLINK in attributes:
        attributes["href"] = f"#{prefix}-{attributes.pop(_XLINK).removeprefix('#')}"
    if "clip-path" in attributes:
        attributes["clip-path"] = attributes["clip-path"].replace("url(#", f"url(#{prefix}-")
    if "style" in attributes:
        style = re.sub(r"#[0-9a-f]{6}", _variable, attributes["style"])
        attributes["style"] = re.sub(r" *font-family: [^;]*;", "", style)
    for name in _NUMERIC:
        if name in attributes:
            attributes[name] = _FRACTION.sub(lambda m: f"{float(m[0]):.2f}", attributes[name])


def _variable(match: re.Match[str]) -> str:
    name = _VARIABLES.get(match[0])
    return f"var({name})" if name else match[0]
