"""The page in a real Chromium: it loads alone, shows what is clicked, and keeps text text."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from browser import Chromium
from view_kit import HOSTILE, STATEMENT, grow, node_of, settings, write_results

from mars2.cli.main import cli
from mars2.types import Expansion, Message, Node, Status, TestVerdict

pytestmark = pytest.mark.slow

SETTLED = "return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def view(path: Path, *options: str) -> Path:
    """The page that the command writes."""
    out = path / "page.html"
    code = cli.main(["view", str(path), "--out", str(out), *options], standalone_mode=False)
    assert not code
    return out


def look(page: Chromium) -> dict[str, Any]:
    """Where the page is: tree, node, time."""
    return page.script("return mars2.look()")


def click_node(page: Chromium, node: int) -> None:
    """A real click on the canvas, where the node is drawn."""
    from selenium.webdriver.common.action_chains import ActionChains

    x, y = page.script("return mars2.canvas.where(arguments[0])", node)
    tree = page.find("#tree")
    box = tree.rect
    dx, dy = x - box["x"] - box["width"] / 2, y - box["y"] - box["height"] / 2
    ActionChains(page.driver).move_to_element_with_offset(tree, dx, dy).click().perform()


@pytest.fixture
def small(tmp_path: Path) -> Path:
    grow(tmp_path, 40, settings(in_flight=2), fail=lambda i: i == 7)
    grow(tmp_path, 6, settings(in_flight=2), tree="eval/team/other")
    grow(tmp_path, 3, settings(in_flight=2), tree="eval/bob/P1")
    result = {"passed": [9, 12], "selected_at": [[2, 1], [20, 12]], "selected": True}
    write_results(tmp_path, {"P1": result})
    return tmp_path


def test_it_loads_alone_and_a_click_shows_the_node(chromium: Chromium, small: Path) -> None:
    chromium.open(view(small))
    assert look(chromium)["node"] == 12  # the selected one
    assert "★ selected · passes all tests" in chromium.text("#details")
    click_node(chromium, 3)
    assert look(chromium)["node"] == 3
    details = chromium.text("#details")
    assert "Node 3" in details
    assert "120 in, 30 out" in details
    assert "log-prob" in details
    assert "# attempt 3" in details
    assert chromium.script("return document.querySelectorAll('.t-keyword').length") > 5
    if "Failing test" in details:
        assert "3 1 2" in chromium.text(".evidence")
    chromium.assert_clean()


def test_folded_parts_show_diff_prompt_and_posteriors(chromium: Chromium, small: Path) -> None:
    chromium.open(view(small))
    refined = chromium.script("return mars2.model.trees[0].ids().find((n) => n.depth === 2).id")
    chromium.script("for (const d of document.querySelectorAll('details')) d.open = true")
    click_node(chromium, refined)
    for name in ("diff", "prompt", "chosen"):
        chromium.find(f"details[data-name={name}] summary").click()
    chromium.wait("document.querySelector('.diff .added') !== null")
    assert "# attempt" in chromium.text(".diff")
    chromium.wait("document.querySelector('details[data-name=chosen] table') !== null")
    prompt = chromium.text("details[data-name=prompt]")
    assert STATEMENT.split("\n")[0] in prompt
    arms = chromium.text("details[data-name=chosen]")
    assert "played back through the search's own arms" in arms
    for word in ("At the root", "GEN", "CONT", "taken", "Beta(", "Agents", "ann", "bob"):
        assert word in arms
    rows = "[...document.querySelectorAll('details[data-name=chosen] .arms:last-of-type tr')]"
    assert len(chromium.script(f"return {rows}.map((r) => r.textContent)")) == 3
    chromium.assert_clean()


def test_intervals_of_posteriors_are_right(chromium: Chromium, small: Path) -> None:
    """Against quantiles known from elsewhere (SciPy's beta.ppf and t.ppf)."""
    chromium.open(view(small))
    for kind, numbers, expected in (
        ("beta", [0.5, 0.5], (0.00154, 0.99846)),
        ("beta", [3.5, 1.5], (0.27947, 0.97907)),
        ("beta", [60.5, 20.5], (0.64771, 0.83422)),
        ("gaussian", [0.4, 0.1, 5.0], (0.14294, 0.65706)),
        ("gaussian", [0.0, 1.0, 1.0], (-12.706, 12.706)),
    ):
        found = chromium.script("return mars2.summary(...arguments)", kind, numbers)
        assert (found["low"], found["high"]) == pytest.approx(expected, rel=0.06, abs=0.006)


def test_keys_walk_the_tree_and_time(chromium: Chromium, small: Path) -> None:
    chromium.open(view(small))
    chromium.press("ESCAPE", "0")
    assert chromium.script("return document.activeElement.id") == "tree"
    width = "return getComputedStyle(document.activeElement).outlineWidth"
    assert chromium.script(width) == "2px"  # focus can be seen
    selected = chromium.script("return mars2.model.trees[0].nodes[12].parent.id")
    chromium.press("ARROW_UP")
    assert look(chromium)["node"] == selected
    for _ in range(8):
        chromium.press("ARROW_UP")
    assert look(chromium)["node"] == 0
    chromium.press("ARROW_DOWN")
    first = look(chromium)["node"]
    chromium.press("ARROW_RIGHT")
    assert look(chromium)["node"] != first
    chromium.press("ARROW_LEFT")
    assert look(chromium)["node"] == first
    assert chromium.find("#current").get_attribute("role") == "treeitem"
    assert f"node {first} by" in chromium.text("#announcer")
    assert chromium.find("#current").get_attribute("aria-level") == "2"
    chromium.press("[", "[")
    now = look(chromium)
    assert now["time"] == now["of"] - 2
    chromium.press("]")
    assert look(chromium)["time"] == now["of"] - 1
    chromium.press("n")
    assert look(chromium)["tree"] == "eval/team/other"
    chromium.press("p", "s")
    assert look(chromium) | {"time": 0} == now | {"node": 12, "time": 0}
    chromium.press("ENTER")
    assert chromium.script("return document.activeElement.id") == "details"
    chromium.press("ESCAPE", "?")
    assert chromium.script("return document.querySelector('#help').open")
    chromium.press("ESCAPE", "/", "o", "t", "h")
    entries = "return [...document.querySelectorAll('[role=option]')].map((e) => e.title)"
    assert len(chromium.script(entries)) == 1
    chromium.press("ENTER")
    assert look(chromium)["tree"] == "eval/team/other"
    chromium.assert_clean()


def test_the_slider_goes_back_in_time(chromium: Chromium, small: Path) -> None:
    chromium.open(view(small))
    slide = """const s = document.querySelector('#slider'); s.value = arguments[0];
        s.dispatchEvent(new Event('input'))"""
    chromium.script(slide, 3)
    assert "3 of 80: node" in chromium.text("#moment")
    tree = "mars2.model.trees[0]"
    there = f"return {tree}.ids().filter((n) => {tree}.stateAt(n, 3) !== 'absent').length"
    assert chromium.script(there) == 3  # the root, two asked for; one of them told
    assert "under way" in chromium.text("#details") or look(chromium)["node"] == 12
    beliefs = f"return [0, 3].map((t) => {tree}.belief('0:gen', 'gen', t))"
    assert chromium.script(beliefs)[0] == [0.5, 0.5]
    assert sum(chromium.script(beliefs)[1]) == 3  # prior, one told, one under way
    chromium.script(slide, 0)
    assert "nothing yet" in chromium.text("#moment")
    chromium.click("#play")
    chromium.wait("mars2.look().time > 2")
    chromium.click("#play")
    assert not look(chromium)["playing"]
    chromium.assert_clean()


def hostile(expansion: Expansion, rng: random.Random) -> Node:
    huge = ("<b>x</b>" + HOSTILE) * 16_000  # over 1 MB
    failing = TestVerdict(
        status=Status.RUNTIME_ERROR, input=HOSTILE, actual=huge, exception=HOSTILE, traceback=huge
    )
    prompt = (Message("system", HOSTILE), Message("user", huge))
    return node_of(expansion, f"x = '{HOSTILE}'\n{huge}", 0.0, 0, 2, prompt, failing=failing)


def test_hostile_text_stays_text(chromium: Chromium, tmp_path: Path) -> None:
    grow(tmp_path, 6, settings(), make=hostile, tree=f"eval/team/{HOSTILE}")
    out = view(tmp_path)
    assert out.stat().st_size < 1_000_000
    chromium.open(out)
    chromium.script("for (const d of document.querySelectorAll('details')) d.open = true")
    chromium.script(SETTLED)
    details = chromium.text("#details")
    assert "</script><script>document.title = 'broken'</script><!--" in details
    assert "<img src=x" in details
    for shown in ("⟨U+2028⟩", "␀", "⟨U+202E⟩", "⟨U+D800⟩", "שלום", "characters left out"):
        assert shown in details, shown
    assert chromium.script("return document.querySelectorAll('img, b').length") == 0
    assert "broken" not in chromium.script("return document.title")
    chromium.assert_clean()
    full = view(tmp_path, "--full")
    chromium.open(full)
    assert "characters left out" not in chromium.text("#details")
    program = "mars2.model.text(mars2.model.trees[0].nodes[1].details.code).text"
    assert chromium.script(f"return {program}.length") > 1_000_000
    pre = "details[data-name=program] pre"
    before = len(chromium.text(pre))
    assert "more characters" in chromium.text(f"{pre} button")
    chromium.script(f"document.querySelector('{pre} button').click()")
    assert len(chromium.text(pre)) > before + 40_000
    chromium.assert_clean()


def test_five_thousand_nodes_are_smooth(
    chromium: Chromium, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grow(tmp_path, 5000, settings(in_flight=8))
    out = view(tmp_path)
    chromium.open(out)
    render = chromium.script("return performance.getEntriesByName('render')[0].duration")
    timed = """
        const spent = {};
        const act = (name, action) => {
          const begin = performance.now();
          action();
          mars2.canvas.drawNow();
          spent[name] = performance.now() - begin;
        };
        const key = (k) => dispatchEvent(new KeyboardEvent('keydown', {key: k}));
        const slider = document.querySelector('#slider');
        const keys = ['ArrowUp', 'ArrowDown', 'ArrowRight', '[', '+', '0', 's'];
        for (const k of keys) act(k, () => key(k));
        act('slide', () => { slider.value = 5000; slider.dispatchEvent(new Event('input')); });
        return spent;"""
    spent = chromium.script(timed)
    with capsys.disabled():
        size = out.stat().st_size / 1e6
        listed = ", ".join(f"{k} {v:.0f}" for k, v in spent.items())
        print(f"\n5,000 nodes: {size:.1f} MB, rendered in {render:.0f} ms; ms by action: {listed}")
    # Only what never ends fails, because other work may share the machine: the figures, with what
    # else went on, are in docs/viewer.md.
    assert render < 120_000
    assert max(spent.values()) < 30_000
    chromium.assert_clean()


def test_a_chain_of_thousands_does_not_overflow(chromium: Chromium, tmp_path: Path) -> None:
    grow(tmp_path, 3000, settings(strategy="sequential"))
    chromium.open(view(tmp_path))
    chromium.press("0")
    assert chromium.script("return mars2.model.trees[0].nodes[3000].depth") == 3000
    assert "does not learn where to expand" in chromium.text("#details")
    chromium.assert_clean()


def test_layout_is_tidy(chromium: Chromium, tmp_path: Path) -> None:
    """On trees of many shapes: no two nodes of a level closer than one place, parents centred."""
    chromium.open(view(_shape(tmp_path)))
    check = """
        const problems = [];
        for (const tree of mars2.model.trees) {
          mars2.canvas.show(tree);
          const rows = new Map();
          for (const node of tree.ids()) {
            if (!rows.has(node.depth)) rows.set(node.depth, []);
            rows.get(node.depth).push(node.x);
            if (node.children.length) {
              const ends = (node.children[0].x + node.children.at(-1).x) / 2;
              if (Math.abs(ends - node.x) > 1e-6) problems.push(`${node.id} is not centred`);
            }
          }
          for (const row of rows.values()) {
            row.sort((a, b) => a - b);
            for (let i = 1; i < row.length; i++)
              if (row[i] - row[i - 1] < 1 - 1e-6) problems.push(`${row[i]} too close`);
          }
        }
        return problems;"""
    assert chromium.script(check) == []


def _shape(path: Path) -> Path:
    for number, search in enumerate(
        ({}, {"depth_guided": True, "depth_rho": 0.5}, {"strategy": "mcts", "branching": 2})
    ):
        grow(path / "x", 300, settings(**search), tree=f"t{number}")
        lines = (path / "x" / "journal.jsonl").read_text().splitlines(keepends=True)
        with open(path / "journal.jsonl", "a", encoding="utf-8") as file:
            file.writelines(lines[0 if number == 0 else 1 :])
        (path / "x" / "journal.jsonl").unlink()
    return path


def test_dark_light_narrow_and_paper(chromium: Chromium, small: Path, tmp_path: Path) -> None:
    chromium.open(view(small))
    colour = "return getComputedStyle(document.body).backgroundColor"
    light = chromium.script(colour)
    chromium.media(dark=True)
    assert chromium.script(colour) != light
    chromium.media(print=True)
    assert not chromium.find("nav").is_displayed()
    chromium.media()
    chromium.size(420, 800)
    chromium.script(SETTLED)
    assert chromium.script("return document.documentElement.scrollWidth") <= 420
    for name in ("light", "narrow"):
        assert chromium.screenshot(tmp_path / f"{name}.png").stat().st_size > 5000
    chromium.assert_clean()


def test_json_of_the_data_is_what_the_page_has(chromium: Chromium, small: Path) -> None:
    out = small / "trees.json"
    argv = ["view", str(small), "--format", "json", "--out", str(out)]
    cli.main(argv, standalone_mode=False)
    exported = json.loads(out.read_text())["trees"][0]["nodes"]
    chromium.open(view(small))
    script = """const m = mars2.model; return m.trees[0].ids().slice(1).map((n) =>
        [n.id, n.parent.id, n.agent, n.reward ?? null, m.text(n.details?.code)?.text ?? null])"""
    shown = chromium.script(script)
    keys = ("node_id", "parent_id", "agent", "reward", "code")
    expected = [[n.get(k) for k in keys] for n in exported]
    assert shown == [[a, b or 0, *rest] for a, b, *rest in expected]


PIECES = (
    *("a\n", "b = 1\n", "'''x\n", "# c\n", 'f"{q!r}"\n', "\n", "@d\n", "0x1f\n", "é", "\\"),
    HOSTILE,
)


def test_diff_and_colours_lose_nothing(chromium: Chromium, small: Path) -> None:
    chromium.open(view(small))
    rng = random.Random(5)
    texts = ["".join(rng.choices(PIECES, k=rng.randrange(12))) for _ in range(300)]
    check = """
        return arguments[0].filter(([a, b]) => {
          const lines = mars2.diff(a, b);
          const without = (s) => lines.filter(([sign]) => sign !== s).map(([, l]) => l).join('\\n');
          const joined = mars2.tokens(a).map(([, text]) => text).join('');
          return without('+') !== a || without('-') !== b || joined !== a;
        })"""
    texts = [text.replace("\ud800", "") for text in texts]  # the driver's messages are UTF-8
    assert chromium.script(check, list(zip(texts[::2], texts[1::2], strict=True))) == []
    found = chromium.script("return mars2.tokens(arguments[0])", "def f(x): return 'a' # b")
    kinds = {text: kind for kind, text in found}
    wanted = {"def": "keyword", "f": "name", "return": "keyword", "'a'": "string", "# b": "comment"}
    assert wanted.items() <= kinds.items()
    far = "return mars2.diff(arguments[0], 'y\\n'.repeat(3000))"
    assert chromium.script(far, "\n".join(map(str, range(3000)))) is None
