"""`mars2 diversity` on a real evaluation and on a file."""

from __future__ import annotations

import json

AGENTS = """
import itertools
LOOP = "def {n}(a, b=0):\\n    s = a\\n    s += b\\n    return s\\n"
RIGHT = "def {n}(a, b):\\n    return a + b\\n"
answers = {answers}
turns = itertools.cycle(answers)
def answer(messages, seed):
    return "I think.\\n```python\\n" + next(turns).format(n="add") + "```\\n"
"""


def agent(path, answers: str) -> str:
    path.write_text(AGENTS.replace("{answers}", answers))
    return f"scripted:{path}"


def test_an_evaluation(mars2, tmp_path):
    one = agent(tmp_path / "one.py", "[RIGHT]")
    two = agent(tmp_path / "two.py", "[LOOP, 'print 1']")
    run = tmp_path / "run"
    done = mars2(
        "eval", "builtin", "--limit", 1, "--samples", 4, "--budget", 1, "--out", run,
        "--agent", f"one={one}", "--agent", f"two={two}", "--set", "verifier.workers=1",
    )  # fmt: skip
    assert done.code == 0, done.err
    done = mars2("diversity", run, "--json", "--bootstrap", 100)
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert report == json.loads((run / "diversity.json").read_text())
    assert set(report["levels"]) == {"semantic", "algorithmic", "reasoning"}
    assert report["duplicates"] == {
        "one": {"solutions": 4, "exact": 3, "normalised": 3},
        "two": {"solutions": 4, "exact": 2, "normalised": 2},
    }
    trees = report["levels"]["algorithmic"]
    assert trees["agents"]["one"]["diversity"] == 0
    assert trees["agents"]["two"]["solutions"] == 2
    assert trees["left_out"] == {"syntax": 2}
    assert 0 < trees["between"][0]["diversity"] <= 1
    assert report["levels"]["semantic"]["agents"]["two"]["diversity"] > 0
    assert report["levels"]["reasoning"]["agents"]["two"]["diversity"] == 0  # always "I think."
    # The journal says of the attempts what the results say.
    attempts = json.loads((run / "results.json").read_text())["outcomes"]["attempts"]
    (problem,) = attempts["one"]
    assert attempts["one"][problem] == [True] * 4
    (pair,) = report["error_overlap"]
    rate = sum(attempts["two"][problem]) / 4
    assert (pair["both"], pair["only_a"]) == (rate, 1 - rate)
    assert pair["gain"] == 0
    plain = mars2("diversity", run, "--levels", "algorithmic")
    assert plain.code == 0
    assert "pq-gram" in plain.out
    assert "pass@2 of the pair" in plain.out
    assert set(json.loads((run / "diversity.json").read_text())["levels"]) == {"algorithmic"}


def test_a_file_and_several_inputs(mars2, tmp_path):
    rows = [
        {"problem": "p", "agent": a, "program": text, "step": step}
        for step, texts in enumerate([["x = 1", "print(2)"], ["x = 1", "x = 1"]])
        for text in texts
        for a in ("a", "b")
    ]
    path = tmp_path / "all.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    done = mars2("diversity", path, path, "--json", "--levels", "semantic")
    assert done.code == 0, done.err
    first, second = map(json.loads, done.out.splitlines())
    assert first == second
    steps = first["levels"]["semantic"]["steps"]
    assert [(s["step"], s["agent"]) for s in steps] == [(0, "a"), (0, "b"), (1, "a"), (1, "b")]
    assert steps[0]["diversity"] > steps[2]["diversity"] == 0
    assert list(tmp_path.iterdir()) == [path]  # nothing is written beside a file
    shown = mars2("diversity", path)
    assert "semantic by training step" in shown.out
    assert "lexical" in shown.out


def test_bad_use_is_refused_before_anything_is_written(mars2, tmp_path):
    path = tmp_path / "all.jsonl"
    path.write_text('{"problem": "p", "agent": "a", "program": "x"}\n')
    for argv, said in [
        (("diversity", path, "--levels", "style"), "semantic, algorithmic, reasoning"),
        (("diversity", path, "--embed", "word2vec"), "lexical, minilm"),
        (("diversity", path, "--embed", "micro:nobody"), "nobody"),
        (("diversity", path, tmp_path / "gone"), "no such run directory or file"),
        (("diversity", tmp_path), "no journal.jsonl"),
        (("diversity",), "Missing argument"),
    ]:
        done = mars2(*argv)
        assert done.code == 2, (argv, done)
        assert said in done.err
        assert done.out == ""
