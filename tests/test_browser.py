"""The browser that other tests look at pages with sees what goes wrong in one."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import Chromium

pytestmark = pytest.mark.slow

PAGE = """<!doctype html><meta charset="utf-8"><title>t</title>
<style>p {{ color: rgb(1, 2, 3) }}
@media (prefers-color-scheme: dark) {{ p {{ color: rgb(4, 5, 6) }} }}
@media print {{ p {{ color: rgb(7, 8, 9) }} }}</style>
<p>hello</p><button>b</button>{more}"""
COLOUR = "return getComputedStyle(document.querySelector('p')).color"


def page(path: Path, more: str = "") -> Path:
    file = path / "page.html"
    file.write_text(PAGE.format(more=more), encoding="utf-8")
    return file


def test_a_clean_page_is_clean(chromium: Chromium, tmp_path: Path) -> None:
    chromium.open(page(tmp_path))
    chromium.assert_clean()
    assert chromium.text("p") == "hello"
    assert len(chromium.requests) == 1


def test_media_and_sizes_are_emulated(chromium: Chromium, tmp_path: Path) -> None:
    chromium.open(page(tmp_path))
    assert chromium.script(COLOUR) == "rgb(1, 2, 3)"
    chromium.media(dark=True)
    assert chromium.script(COLOUR) == "rgb(4, 5, 6)"
    chromium.media(print=True)
    assert chromium.script(COLOUR) == "rgb(7, 8, 9)"
    chromium.size(400, 300)
    assert chromium.script("return [innerWidth, innerHeight]") == [400, 300]
    picture = chromium.screenshot(tmp_path / "page.png").read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert int.from_bytes(picture[16:20]) == 400


def test_a_click_and_a_key_arrive(chromium: Chromium, tmp_path: Path) -> None:
    listen = (
        "<script>const p = document.querySelector('p');"
        "document.querySelector('button').onclick = () => { p.textContent = 'clicked'; };"
        "onkeydown = (e) => { p.textContent += e.key; };</script>"
    )
    chromium.open(page(tmp_path, listen))
    chromium.click("button")
    chromium.press("x", "ARROW_DOWN")
    chromium.wait("document.querySelector('p').textContent === 'clickedxArrowDown'")


@pytest.mark.parametrize(
    "fault",
    [
        "<script>console.error('e')</script>",
        "<script>throw new Error('e')</script>",
        "<script>Promise.reject(new Error('e'))</script>",
        "<meta http-equiv=Content-Security-Policy content=\"script-src 'none'\"><script>1</script>",
        "<img src='missing.png' alt=''>",
        "<script>fetch('http://127.0.0.1:9/').catch(() => {})</script>",
    ],
)
def test_a_fault_is_noticed(chromium: Chromium, tmp_path: Path, fault: str) -> None:
    chromium.open(page(tmp_path, fault))
    with pytest.raises(AssertionError):
        chromium.assert_clean()
    chromium.open(page(tmp_path))
    chromium.assert_clean()
