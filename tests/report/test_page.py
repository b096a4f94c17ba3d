"""The page: what is in it, and that nothing in it comes from a name or an id."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_kit import write_eval, write_run

from mars2.report.page import ASSETS, html
from mars2.report.text import finite, interval, shown
from mars2.report.write import build_report, markdown, write_report

pytest.importorskip("jinja2")

INFO = {"difficulty": "easy", "date": None, "format": "stdin"}
HOSTILE = [
    "</script><script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>' onclick='alert(1)",
    "<svg onload=alert(1)>&lt;b&gt;{{ 7*7 }}{% raw %}",
    "abc\u202egnp.exe\u2066\u200b\x00\x1b[31m\ud800",
    "]]></style><!-- $x$ `code` | _a",
    "line\nbreak\u2028\ttab",
]


class Page(HTMLParser):
    """Elements with their attributes, the text, and ids."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def count(self, tag: str) -> int:
        return sum(t == tag for t, _ in self.elements)


def solved(*ids: str) -> tuple[dict[str, dict[str, list[bool]]], dict]:
    return {"lark": {i: [True, False] for i in ids}}, {i: ([1], 1) for i in ids}


def test_hostile_names_add_no_element(tmp_path: Path) -> None:
    """The page of hostile names has the elements and attributes of that of plain ones."""

    def page(names: list[str]) -> tuple[Page, str]:
        attempts = {n: {i: [True, False] for i in names} for n in names}
        info = {i: {"title": i, "difficulty": i, "date": i, "format": "stdin"} for i in names}
        run = write_eval(
            tmp_path / f"run{len(list(tmp_path.iterdir()))}",
            attempts,
            {i: ([1], 1) for i in names},
            info,
            settings={"name": names[0], "prompt": names[1]},
        )
        text = html(build_report([run]), drawn=False)
        return Page(text), text

    plain, _ = page(["a1", "b2", "c3", "d4", "e5", "f6"])
    hostile, text = page(HOSTILE)
    # Ids that hold what is not seen have no command to copy.
    unseen = sum(shown(i) != i for i in HOSTILE)
    assert unseen == 2
    extra = {"details": unseen, "summary": unseen, "code": unseen}
    for tag in {t for t, _ in plain.elements} | {t for t, _ in hostile.elements}:
        assert hostile.count(tag) == plain.count(tag) - extra.get(tag, 0), tag
    attributes = {a for _, found in plain.elements for a in found}
    assert {a for _, found in hostile.elements for a in found} <= attributes
    assert not any(a.startswith("on") for a in attributes)
    assert any("</script><script>alert(1)</script>" in t for t in hostile.text)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x00\x1b\ud800]", text)
    assert "⟨U+202E⟩gnp.exe⟨U+2066⟩⟨U+200B⟩⟨U+0000⟩⟨U+001B⟩[31m⟨U+D800⟩" in "".join(hostile.text)
    assert "49" not in "".join(t for t in hostile.text if "7*7" in t)
    text.encode()


def test_hostile_names_in_figures_and_files(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    names = {n: n for n in HOSTILE}
    run = write_run(tmp_path / "run", policies=names, evaluations={}, steps=2)
    report = build_report([run])
    report = replace(report, figures=report.figures[-2:])
    found = Page(html(report, drawn=True))
    assert found.count("script") == 1
    assert found.count("img") == 0
    assert found.count("style") == 1
    assert found.count("svg") == sum(len(f.panels) for f in report.figures) > 2
    ids = [a["id"] for _, a in found.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert "\u202e" not in markdown(report, drawn=True)


def test_the_policy_allows_the_one_script_and_nothing_else(tmp_path: Path) -> None:
    run = write_eval(tmp_path / "run", *solved("p1"))
    text = html(build_report([run]), drawn=False)
    page = Page(text)
    (policy,) = (a["content"] for t, a in page.elements if t == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-")
    (script,) = re.findall(r"<script>(.*)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy
    for name in ("src", "href", "action", "data", "poster", "srcset"):
        targets = [a[name] for _, a in page.elements if a.get(name)]
        assert all(t is not None and t.startswith("#") for t in targets)
    assert "@import" not in text
    assert "url(" not in re.sub(r"url\(#", "", text)


def test_long_text_is_cut_and_says_so(tmp_path: Path) -> None:
    long = "x" * 1_000_000
    run = write_eval(tmp_path / "run", *solved(long, "p1"), {long: INFO | {"title": long}})
    text = html(build_report([run]), drawn=False)
    assert len(text) < 100_000
    assert "(1,000,000 characters)" in text


def test_every_part_is_on_the_page(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    info = {"p1": INFO | {"date": "2024-01-01"}}
    run = write_eval(tmp_path / "run", *solved("p1", "p2"), info)
    report = build_report([run])
    text = html(report, drawn=True)
    page = Page(text)
    sections = [a["id"] for t, a in page.elements if t == "section"]
    assert sections == ["results", "settings", "budget", "groups", "diversity", "cost", "problems"]
    assert f"mars2 view {run} --problem p1" in text
    assert f"mars2 diversity {run}" in text
    cells = "".join(page.text)
    for table in report.tables:
        for row in table.rows:
            for cell in row[1:]:
                for word in cell.split(" [")[:1]:
                    assert word in cells, (table.key, word)
    described = {a["aria-labelledby"] for t, a in page.elements if t == "svg"}
    labels = {a["id"] for t, a in page.elements if t in ("title", "desc") and "id" in a}
    assert {i for ids in described if ids for i in ids.split()} == labels
    assert {i for i in labels if i and i.endswith("desc")}


def test_runs_without_anything_have_a_page(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text("{")
    text = html(build_report([run]), drawn=False)
    assert "config.json cannot be read" in text
    write_report(build_report([run]), tmp_path / "out", figures=False)
    assert json.loads((tmp_path / "out" / "report.json").read_text())["problems"]["rows"] == []


def test_the_assets_are_files_of_the_package() -> None:
    assert {p.name for p in ASSETS.iterdir()} == {
        *("report.html", "macros.html", "problems.html"),
        *("report.css", "report.js"),
    }


def test_words_for_numbers() -> None:
    assert interval(0.5, [0.25, 0.75]) == "0.500 [0.250, 0.750]"
    assert interval(0.5, [None, 0.75]) == interval(0.5, "xx") == "0.500"
    assert interval(float("nan"), [0, 1]) == interval(None, None) == interval(True, None) == "–"
    assert interval(0.5, [0.1, 0.9], sign=True) == "+0.500 [0.100, 0.900]"
    assert finite(10**400) is None
    assert shown("a" * 500, 100).endswith("a (500 characters)")
