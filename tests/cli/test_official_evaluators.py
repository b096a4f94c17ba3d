"""What the evaluators of others say about files that we export: the numbers that we found.

Each runs as it is published (see official_lcb.py and official_evalplus.py) on benign programs.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import evalplus_kit
import lcb_kit
import pytest

HERE = Path(__file__).parent
LIMIT = "--set=verifier.time_limit_s=2"  # the slow programs never end


def need(*packages: str) -> None:
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs the package {package}")


def run_official(script: str, *argv: object, **environment: object) -> None:
    env = os.environ | {key: str(value) for key, value in environment.items()}
    subprocess.run(
        [sys.executable, HERE / script, *map(str, argv)], check=True, env=env, timeout=300
    )


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


# --------------------------------------------------------------------------- LiveCodeBench


@pytest.mark.slow
def test_livecodebench_finds_our_numbers(mars2, tmp_path: Path) -> None:
    need("livecodebench")
    source = f"livecodebench@{lcb_kit.write_rows(tmp_path / 'test.jsonl')}"
    lcb_kit.write_agent(tmp_path / "a.py", lost=("2727",))  # one attempt is lost
    done = mars2(
        "eval", source, "--agent=a=scripted:a.py", "--samples=4", "--budget=4", "--out=run",
        "--set=verifier.profile=lcb", LIMIT,
    )  # fmt: skip
    assert done.code == 0, done.err
    run = read(tmp_path / "run" / "results.json")
    attempts = run["outcomes"]["attempts"]["a"]
    assert sorted(map(len, attempts.values())) == [3, 4, 4, 4]
    done = mars2("export", "run", "--format", "lcb", "--out", "a.json", "--json")
    told = json.loads(done.out)
    assert told["padded"] == {"2727": 1}
    graded, metrics = official_lcb(tmp_path, "a.json")
    assert graded == {p: [*of, False][:4] for p, of in attempts.items()}
    assert metrics["pass@1"] == pytest.approx(told["expected"]["pass@1"], abs=1e-15)
    by_id = dict(zip(sorted(attempts), metrics["detail"]["pass@1"].values(), strict=True))
    assert by_id == pytest.approx({p: sum(of) / 4 for p, of in attempts.items()}, abs=1e-15)

    # the answers of the trees
    selected = {p: [tree["selected"]] for p, tree in run["outcomes"]["trees"].items()}
    assert {(True,), (False,)} == set(map(tuple, selected.values()))
    mars2("export", "run", "--format", "lcb", "--what", "selected", "--out", "s.json")
    of_trees, metrics_of_trees = official_lcb(tmp_path, "s.json")
    assert of_trees == selected
    assert metrics_of_trees["pass@1"] == run["team"]["pass@1(mcts)"]

    # and in again: the same verdicts
    again = ("import", "a.json", source, "--format=lcb", LIMIT)
    assert mars2(*again, "--profile=lcb", "--out", "back").code == 0
    back = read(tmp_path / "back" / "results.json")
    assert back["outcomes"]["attempts"]["a"] == graded
    assert back["agents"]["a"]["pass@1"] == pytest.approx(metrics["pass@1"], abs=1e-15)
    # natively one program more is right: the one whose standard output has no buffer there
    assert mars2(*again, "--out", "native").code == 0
    native = read(tmp_path / "native" / "results.json")["outcomes"]["attempts"]["a"]
    assert {p: sum(native[p]) - sum(graded[p]) for p in graded} == {
        "1873_A": 0, "abc301_a": 1, "2727": 0, "2800": 0,
    }  # fmt: skip


def official_lcb(tmp_path: Path, file: str) -> tuple[dict[str, list[bool]], dict[str, Any]]:
    """(what each program got by question id, the metrics) of the official evaluator."""
    run_official("official_lcb.py", tmp_path / "test.jsonl", tmp_path / file)
    written = str(tmp_path / file).removesuffix(".json") + "_codegeneration_output"
    rows = read(Path(f"{written}_eval_all.json"))
    graded = {row["question_id"]: row["graded_list"] for row in rows}
    return graded, read(Path(f"{written}_eval.json"))[0]


# --------------------------------------------------------------------------- EvalPlus


@pytest.fixture
def evalplus(mars2, tmp_path: Path):
    """Evaluates `ours`, exports, has EvalPlus judge it by `theirs`: equal; imports: equal again."""
    need("evalplus", "appdirs", "psutil", "termcolor")
    evalplus_kit.write_agent(tmp_path / "a.py")

    def check(ours: str, theirs: Path, dataset: str, *formats: str) -> dict[str, int]:
        agent = ("--agent=a=scripted:a.py", "--samples=4", "--budget=1", LIMIT)
        done = mars2("eval", ours, *agent, "--out=run")
        assert done.code == 0, done.err
        attempts = read(tmp_path / "run" / "results.json")["outcomes"]["attempts"]["a"]
        for format in formats:
            file = tmp_path / f"{format}.jsonl"
            done = mars2("export", "run", "--format", format, "--problems", ours, "--out", file)
            assert done.code == 0, done.err
            override = f"{dataset.upper()}_OVERRIDE_PATH"
            settings = {override: theirs, "XDG_CACHE_HOME": tmp_path / "cache"}
            run_official("official_evalplus.py", dataset, file, **settings)
            found = read(tmp_path / f"{format}_eval_results.json")["eval"]
            assert attempts == {
                task: [row["base_status"] == row["plus_status"] == "pass" for row in of]
                for task, of in found.items()
            }
            done = mars2("import", file, ours, "--format", format, LIMIT, "--out", f"back-{format}")
            assert done.code == 0, done.err
            back = read(tmp_path / f"back-{format}" / "results.json")
            assert back["outcomes"]["attempts"] == {format: attempts}
        return {problem: sum(of) for problem, of in attempts.items()}

    return check


@pytest.mark.slow
def test_evalplus_finds_our_numbers_on_humaneval(tmp_path: Path, evalplus) -> None:
    rows = [evalplus_kit.humaneval_row(*pair) for pair in enumerate(evalplus_kit.HUMANEVAL)]
    file = evalplus_kit.write_rows(tmp_path / "plus.jsonl", rows)
    passed = evalplus(f"humaneval+@{file}", file, "humaneval", "evalplus", "humaneval")
    assert passed == {"HumanEval/0": 2, "HumanEval/1": 1}


@pytest.mark.slow
def test_evalplus_finds_our_numbers_on_mbpp(tmp_path: Path, evalplus) -> None:
    kinds = evalplus_kit.MBPP
    ours = evalplus_kit.write_rows(tmp_path / "test.jsonl", list(map(evalplus_kit.mbpp_row, kinds)))
    official = list(map(evalplus_kit.mbpp_official_row, kinds))
    theirs = evalplus_kit.write_rows(tmp_path / "MbppPlus.jsonl", official)
    assert evalplus(f"mbpp+@{ours}", theirs, "mbpp", "evalplus") == {"Mbpp/9": 1}
