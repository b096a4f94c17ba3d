"""The page: one HTML file with its style, its script and its data, that may reach for nothing.

The script is plain ES modules, put after one another in the order of their imports. Data is JSON
inside a script element that is not run; the page turns it into text nodes, never into markup. The
policy names the hashes of this style and this script, so nothing else would run even so.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

from mars2.training.rundir import finite

MODULES = (
    "text",
    "model",
    "layout",
    "marks",
    "canvas",
    "highlight",
    "diff",
    "posterior",
    "beliefs",
    "legend",
    "details",
    "trees",
    "live",
    "main",
)
_IMPORT = re.compile(r"^import \{[^}]*\} from \"\./[a-z]+\.js\";\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(async )?(function|const|class|let) )", re.MULTILINE)


def page(records: Iterable[Any], *, title: str, live: bool = False) -> str:
    """The HTML. With `live`, it asks for more records where it came from."""
    style, script = _asset("viewer.css"), bundle()
    policy = [
        "default-src 'none'",
        f"script-src {_hash(script)}",
        f"style-src {_hash(style)}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        *(["connect-src 'self'"] if live else []),
    ]
    data = embed({"live": live, "records": list(records)})
    parts = {
        "POLICY": "; ".join(policy),
        "TITLE": _escape(title),
        "STYLE": style,
        "DATA": data,
        "SCRIPT": script,
    }
    # In one pass, so that no part can hold another's place.
    return re.sub(r"@@([A-Z]+)@@", lambda match: parts[match[1]], _asset("viewer.html"))


def bundle() -> str:
    """All modules as one. Names at the top of a module are unique among them all: a browser
    refuses the whole script otherwise.
    """
    sources = (_asset(f"{name}.js") for name in MODULES)
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", source)) for source in sources)


def embed(value: Any) -> str:
    """JSON for a script element: ASCII, without `<`, `>` and `&`, so that nothing ends it."""
    text = json.dumps(finite(value), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _asset(name: str) -> str:
    return (files("mars2.viewer") / "assets" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _escape(text: str) -> str:
    from html import escape

    return escape(text.encode("utf-8", "replace").decode())
