"""The page as a file: data is never markup, and the policy allows only the page's own parts."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from view_kit import HOSTILE

from mars2.viewer.page import MODULES, bundle, embed, page

ASSETS = Path(__file__).parents[2] / "src" / "mars2" / "viewer" / "assets"


class Scripts(HTMLParser):
    """Collects what is in script and style elements."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self._inside: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag != "img", "data became an element"
        if tag in ("script", "style"):
            self._inside = dict(attrs).get("type") or tag
            self.found.append((self._inside, ""))

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside:
            kind, before = self.found[-1]
            self.found[-1] = (kind, before + data)


def parts(html: str) -> dict[str, str]:
    parser = Scripts()
    parser.feed(html)
    assert len(parser.found) == 3
    return dict(parser.found)


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=60))
def test_any_text_comes_back_and_ends_nothing(text: str) -> None:
    embedded = embed({text: [text]})
    assert not set("<>&") & set(embedded)
    assert embedded.isascii()
    assert json.loads(embedded) == {text: [text]}


def test_hostile_records_stay_data() -> None:
    html = page([["status", HOSTILE + "@@SCRIPT@@"]], title=HOSTILE)
    found = parts(html)
    assert json.loads(found["application/json"])["records"] == [["status", HOSTILE + "@@SCRIPT@@"]]
    html.encode("utf-8")


def test_the_policy_names_its_style_and_its_script() -> None:
    html = page([], title="t")
    found = parts(html)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    assert policy is not None
    rules = dict(rule.split(" ", 1) for rule in policy[1].split("; "))
    assert rules["default-src"] == "'none'"
    assert "connect-src" not in rules
    for rule, text in (("script-src", found["module"]), ("style-src", found["style"])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert "connect-src 'self'" in page([], title="t", live=True)


def test_modules_fit_into_one_script() -> None:
    assert {p.stem for p in ASSETS.glob("*.js")} == set(MODULES)
    declared: dict[str, str] = {}
    before: set[str] = set()
    for name in MODULES:
        source = (ASSETS / f"{name}.js").read_text(encoding="utf-8")
        imported = set(re.findall(r'^import .* from "\./(\w+)\.js";$', source, re.MULTILINE))
        assert imported <= before, f"{name}.js comes before what it imports"
        before.add(name)
        top = r"^(?:export )?(?:async )?(?:function|const|let|class) ([\w$]+)"
        for declaration in re.findall(top, source, re.MULTILINE):
            assert declaration not in declared, (declaration, name, declared[declaration])
            declared[declaration] = name
    script = bundle()
    assert not re.search(r"^(import|export) ", script, re.MULTILINE)
    assert "innerHTML" not in script
    assert "</script" not in script.lower()


@pytest.mark.parametrize("path", sorted(ASSETS.iterdir()), ids=lambda p: p.name)
def test_files_stay_readable(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 400
    assert not re.search(r"https?://(?!www\.w3\.org)", "\n".join(lines))


def test_numbers_that_json_lacks_become_null() -> None:
    value: Any = json.loads(embed([float("nan"), float("inf"), 1.0]))
    assert value == [None, None, 1.0]
