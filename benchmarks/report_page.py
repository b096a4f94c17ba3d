"""What the page of a large report costs: to write, to load, to search and to sort.

An evaluation of the size of LiveCodeBench v6 (1,055 problems, three agents with four attempts, a
team with 16 nodes a tree) is made up, reported, and opened in headless Chromium. Times are CPU
times: of this process to write the page, and of the page's own thread to load and lay it out, for
one search that leaves a few rows, and for sorting all rows; the least of `--rounds`. Needs
`pip install -e '.[report,browser]'`, Chromium and its driver.

    python benchmarks/report_page.py [--problems 1055] [--rounds 5] [--json]
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

AGENTS = ("lark", "loom", "wren")
NODES = 16


def make_run(path: Path, count: int) -> Path:
    """Results as `mars2 eval` writes them, of outcomes drawn at random."""
    from mars2.evaluation.outcomes import EvalResult, TreeOutcome
    from mars2.evaluation.results import details

    rng = random.Random(0)
    ids = [f"{rng.choice(('abc', 'arc', 'leetcode'))}_{i}_problem" for i in range(count)]
    attempts = {a: {p: [rng.random() < 0.5 for _ in range(4)] for p in ids} for a in AGENTS}
    trees = {}
    for p in ids:
        passed = tuple(n for n in range(NODES) if rng.random() < 0.1)
        chosen = passed[0] if passed and rng.random() < 0.8 else 0
        trees[p] = TreeOutcome(
            selected=chosen in passed,
            any_passed=bool(passed),
            nodes=NODES,
            failed=0,
            order=tuple(range(NODES)),
            passed=passed,
            selected_at=((chosen + 1, chosen),),
        )
    info = {
        p: {
            "title": f"The title of problem {p}",
            "difficulty": ("easy", "medium", "hard")[i % 3],
            "date": f"2024-{i % 12 + 1:02}-01",
            "format": "stdin",
        }
        for i, p in enumerate(ids)
    }
    result = EvalResult(attempts, trees)
    path.mkdir()
    agents = [{"name": a, "spec": f"micro:{a}", "policy": None, "role": "coder"} for a in AGENTS]
    (path / "config.json").write_text(json.dumps({"seed": 0, "agents": agents}))
    (path / "manifest.json").write_text(json.dumps({"kind": "eval", "status": "finished"}))
    found = result.summary(resamples=100) | {"outcomes": result.to_json()}
    found |= details(result, info, resamples=100)
    (path / "results.json").write_text(json.dumps(found))
    return path


def in_browser(page: Path, rounds: int) -> dict[str, float]:
    """CPU milliseconds of the page's thread to load it, to search and to sort."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)

    def spent() -> float:
        metrics = driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return next(1000 * m["value"] for m in metrics if m["name"] == "TaskDuration")

    found: dict[str, list[float]] = {"load_ms": [], "search_ms": [], "sort_ms": []}
    try:
        for _ in range(rounds):
            driver.get("about:blank")
            driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
            before = spent()
            driver.get(page.as_uri())
            driver.execute_script("document.body.offsetHeight")
            for name, script in (("load_ms", ""), ("search_ms", SEARCH), ("sort_ms", SORT)):
                driver.execute_script(script + "; document.body.offsetHeight")
                now = spent()
                found[name].append(now - before)
                before = now
            driver.execute_cdp_cmd("Performance.disable", {})
    finally:
        driver.quit()
    return {name: round(min(values), 1) for name, values in found.items()}


SEARCH = """
const search = document.getElementById("search");
search.value = "leetcode 7";
search.dispatchEvent(new Event("input", {bubbles: true}))
"""
SORT = """document.querySelector("#problem-table [aria-sort] button").click()"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--problems", type=int, default=1055)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    from mars2.report.write import build_report, write_report

    with tempfile.TemporaryDirectory() as folder:
        run = make_run(Path(folder) / "run", options.problems)
        write_report(build_report([run]), Path(folder) / "warm", figures=False)
        start = time.process_time()
        page = write_report(build_report([run]), Path(folder) / "out", figures=False)[0]
        seconds = time.process_time() - start
        found: dict[str, Any] = {
            "problems": options.problems,
            "python": sys.version.split()[0],
            "page_kb": round(page.stat().st_size / 1000),
            "write_cpu_s": round(seconds, 2),
            **in_browser(page, options.rounds),
        }
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:12} {value}")


if __name__ == "__main__":
    main()
