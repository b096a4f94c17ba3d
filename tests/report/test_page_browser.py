"""The page in a real Chromium: it loads nothing, and its search, filters and sorting work."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from browser import Chromium
from report_kit import write_eval, write_run

from mars2.report.write import build_report, write_report

pytestmark = pytest.mark.slow
HOSTILE = "</script><script>document.title='broken'</script>\u202e<img src=//example.invalid/x>"


def many(path: Path, count: int = 1055) -> Path:
    """An evaluation of the size of LiveCodeBench v6, with three agents."""
    ids = [f"p{i:04}" for i in range(count - 1)] + [HOSTILE]
    attempts = {
        agent: {p: [(i * k) % 7 < 3, (i + k) % 5 == 0] for i, p in enumerate(ids)}
        for k, agent in enumerate(("lark", "loom", "wren"), 1)
    }
    trees = {p: ([i // 2 % 4] * (i % 3 > 0), 0 if i % 2 else None) for i, p in enumerate(ids)}
    levels = ("easy", "medium", "hard")
    info = {
        p: {
            "title": f"Title of {i}",
            "difficulty": levels[i % 3],
            "date": f"2024-{i % 12 + 1:02}-01",
            "format": "stdin",
        }
        for i, p in enumerate(ids)
    }
    return write_eval(path, attempts, trees, info)


def page_of(run: Path, out: Path, *, figures: bool = True) -> Path:
    return write_report(build_report([run]), out, figures=figures)[0]


def seen(page: Chromium) -> list[str]:
    """Ids of the rows that are shown, from above."""
    return page.script(
        "return [...document.querySelectorAll('#problem-table tbody tr')]"
        ".filter(r => r.offsetParent !== null).map(r => r.cells[0].firstChild.data.trim())"
    )


def choose(page: Chromium, selector: str, value: str) -> None:
    page.script(
        "const s = document.querySelector(arguments[0]); s.value = arguments[1];"
        "s.dispatchEvent(new Event('input', {bubbles: true}))",
        selector,
        value,
    )


def test_search_filters_and_sorting_of_a_large_evaluation(
    chromium: Chromium, tmp_path: Path
) -> None:
    file = page_of(many(tmp_path / "run"), tmp_path / "out", figures=False)
    assert file.stat().st_size < 2_000_000
    chromium.open(file)
    assert len(seen(chromium)) == 1055
    assert chromium.text("#shown") == "1,055 of 1,055"
    assert chromium.driver.title == "run · MARS² report"  # the hostile id ran nothing
    chromium.find("#search").send_keys("p010 title")
    assert seen(chromium) == [f"p010{i}" for i in range(10)]
    assert chromium.text("#shown") == "10 of 1,055"
    choose(chromium, "#difficulty", "hard")
    assert seen(chromium) == ["p0101", "p0104", "p0107"]
    chromium.find("#search").clear()
    choose(chromium, "#search", "</script>")
    choose(chromium, "#difficulty", "")
    (found,) = seen(chromium)
    assert found.startswith("</script><script>document.title='broken'</script>⟨U+202E⟩<img")
    choose(chromium, "#search", "")

    # Solvers in order: lark, loom, wren, the team.
    choose(chromium, "#solved", "3")
    assert seen(chromium)
    assert {m[3] for m in chromium.script(_MARKS)} == {"1"}
    choose(chromium, "#solved", "none")
    assert set(chromium.script(_MARKS)) == {"0000"}
    choose(chromium, "#solved", "")

    header = "#problem-table thead tr:last-child th:nth-child(4) button"
    chromium.script("document.querySelector('#problem-table').scrollIntoView()")
    chromium.click(header)
    values = chromium.script(_VALUES)
    assert values == sorted(values)
    chromium.click(header)
    assert chromium.script(_VALUES) == sorted(values, reverse=True)
    assert chromium.script(_SORTED, header) == "descending"
    assert len(seen(chromium)) == 1055
    # The header stays while the rows move.
    chromium.script("document.querySelector('.tall').scrollTop = 9000")
    top = "document.querySelector('#problem-table thead').getBoundingClientRect().top"
    box = "document.querySelector('.tall').getBoundingClientRect().top"
    assert abs(chromium.script(f"return {top} - {box}")) < 3
    chromium.assert_clean()


_MARKS = (
    "return [...document.querySelectorAll('#problem-table tbody tr')]"
    ".filter(r => r.offsetParent !== null).map(r => r.dataset.s)"
)
_VALUES = (
    "return [...document.querySelectorAll('#problem-table tbody tr')]"
    ".map(r => Number(r.cells[3].dataset.v))"
)
_SORTED = "return document.querySelector(arguments[0]).parentNode.getAttribute('aria-sort')"


def test_dark_print_and_narrow(chromium: Chromium, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    file = page_of(write_run(tmp_path / "run", steps=30), tmp_path / "out")
    chromium.open(file)
    colour = "return getComputedStyle(document.{}).{}"
    light = chromium.script(colour.format("body", "backgroundColor"))
    line = "querySelector('figure svg path[style*=\"--c0\"]')"
    blue = chromium.script(colour.format(line, "stroke"))
    chromium.media(dark=True)
    assert light == "rgb(255, 255, 255)"
    assert chromium.script(colour.format("body", "backgroundColor")) == "rgb(20, 24, 29)"
    assert chromium.script(colour.format(line, "stroke")) != blue
    chromium.media(dark=True, print=True)
    assert chromium.script(colour.format("body", "backgroundColor")) == light
    assert chromium.script(colour.format("querySelector('#controls')", "display")) == "none"
    pdf = chromium.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": False})
    assert base64.b64decode(pdf["data"]).startswith(b"%PDF")
    chromium.media()
    chromium.size(360, 780)
    assert chromium.script("return document.documentElement.scrollWidth") <= 360
    widths = chromium.script(
        "return [...document.querySelectorAll('figure svg')].map(s => s.clientWidth)"
    )
    assert min(widths) > 250
    chromium.assert_clean()


def test_without_scripts_everything_is_there(chromium: Chromium, tmp_path: Path) -> None:
    file = page_of(many(tmp_path / "run", 20), tmp_path / "out", figures=False)
    chromium.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        chromium.open(file)
        rows = chromium.driver.find_elements("css selector", "#problem-table tbody tr")
        assert len(rows) == 20
        assert not chromium.find("#controls").is_displayed()
    finally:
        chromium.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
