"""Where solutions come from: journals of evaluations and training runs, and files."""

from __future__ import annotations

import json

import pytest

from mars2.diversity.solutions import load_source
from mars2.errors import UsageError
from mars2.prompts.extract import split_answer
from mars2.search.journal import Journal
from mars2.types import Expansion, Generation, Node, Status, Verdict

ANSWER = "First I add.\n```python\nprint(1)\n```\nDone.\n"


def write(path, *rows):
    """A journal of (tree, agent, action, passed) rows; a passed of None is a failed expansion."""
    with Journal.open(path, {"config_hash": "x"}) as journal:
        for number, (tree, agent, action, passed) in enumerate(rows, 1):
            part = journal.tree(tree)
            part.ask(Expansion(number, None, 1, agent, action))
            if passed is None:
                part.fail(number, "generation", "gone")
                continue
            status = Status.PASSED if passed else Status.WRONG_ANSWER
            part.tell(
                Node(
                    tree_id=tree,
                    node_id=number,
                    parent_id=None,
                    depth=1,
                    agent=agent,
                    action=action,
                    prompt=(),
                    generation=Generation(ANSWER),
                    code="print(1)\n",
                    verdict=Verdict(status=status, passed=0, total=1),
                    reward=float(passed),
                )
            )


def test_attempts_and_trees_of_an_evaluation(tmp_path):
    write(
        tmp_path / "journal.jsonl",
        ("eval/a/HumanEval/0", "a", "generate", True),
        ("eval/a/HumanEval/0", "a", "generate", None),
        ("eval/b/HumanEval/0", "b", "generate", False),
        ("eval/team/HumanEval/0", "a", "generate", True),
        ("eval/team/HumanEval/0", "b", "refine", True),
    )
    source = load_source(tmp_path)
    assert [(s.problem, s.agent, s.passed) for s in source.solutions] == [
        ("HumanEval/0", "a", True),
        ("HumanEval/0", "b", False),
    ]
    assert source.solutions[0].reasoning == "First I add."
    assert source.judged == source.solutions
    first = load_source(tmp_path, "trees")
    # What public tests said of a tree's node is no outcome; the attempts still are.
    assert [(s.agent, s.passed) for s in first.solutions] == [("a", None)]
    assert len(first.judged) == 2
    assert [s.agent for s in load_source(tmp_path, "trees", "all").solutions] == ["a", "b"]


def metrics(path, *counts, mode="sync"):
    rows = [
        {"step": step, "trees": {"count": count}, "loop": {"mode": mode}}
        for step, count in enumerate(counts, 1)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"torn')


@pytest.mark.parametrize(
    ("mode", "steps"),
    [
        ("sync", {"p0": 1, "p1": 1, "p2": 2, "p3": 3}),
        ("async", {"p0": 2, "p1": 1, "p2": 1, "p3": 3}),
    ],
)
def test_training_trees_belong_to_the_step_that_counted_them(tmp_path, mode, steps):
    write(
        tmp_path / "journal.jsonl",
        ("000000/p0", "a", "generate", True),
        ("000001/p1", "a", "generate", True),
        ("000002/p2", "a", "generate", True),
        ("000000/p0", "b", "generate", True),
        ("000003/p3", "a", "generate", True),
    )
    metrics(tmp_path / "metrics.jsonl", 2, 1, mode=mode)
    source = load_source(tmp_path)
    assert {s.problem: s.step for s in source.solutions} == steps
    assert source.which == "trees"
    assert "no held-out evaluation" in source.notes[0]
    assert source.latest is None
    assert source.judged == []


def test_held_out_evaluations_of_a_training_run(tmp_path):
    for name, agent in (("before", "a"), ("step00002", "b"), ("after", "c")):
        write(tmp_path / "eval" / f"{name}.jsonl", (f"{name}/{agent}/p", agent, "generate", True))
    write(tmp_path / "journal.jsonl", ("000000/q", "a", "generate", True))
    metrics(tmp_path / "metrics.jsonl", 1, 0, 0, 0)
    source = load_source(tmp_path)
    assert [(s.step, s.agent) for s in source.solutions] == [(0, "a"), (2, "b"), (4, "c")]
    assert source.latest == 4
    assert [s.agent for s in source.judged] == ["c"]
    (tmp_path / "manifest.json").write_text('{"steps_done": 7}')
    assert load_source(tmp_path).latest == 7
    assert [s.problem for s in load_source(tmp_path, "trees").solutions] == ["q"]


def test_files(tmp_path):
    path = tmp_path / "all.jsonl"
    rows = [
        {"problem": "p", "agent": "a", "program": "x = 1", "step": 3, "passed": True},
        {"problem": "p", "agent": "b", "text": ANSWER},
        {"problem": "p", "agent": "c", "text": "Because.", "program": "x = 2"},
    ]
    path.write_text("\n".join(json.dumps(r) for r in rows) + "\n\n")
    one, two, three = load_source(path).solutions
    assert (one.program, one.reasoning, one.step, one.passed) == ("x = 1", None, 3, True)
    assert (two.program, two.reasoning) == ("print(1)\n", "First I add.")
    assert (three.program, three.reasoning) == ("x = 2", "Because.")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('{"problem": "p", "agent": "a", "program": 3}', "row 2, program"),
        ('{"problem": "p", "agent": "a", "code": "x"}', "row 2, code"),
        ('{"problem": "p", "agent": "a"}', "needs program or text"),
        ('{"problem": "", "agent": "a", "text": "x"}', "row 2, problem"),
        ("[1", "row 2: is no JSON"),
        ("[" * 100_000, "row 2"),
    ],
)
def test_a_bad_row_is_named(tmp_path, row, said):
    path = tmp_path / "all.jsonl"
    path.write_text('{"problem": "p", "agent": "a", "program": "x"}\n' + row + "\n")
    with pytest.raises(UsageError, match=said):
        load_source(path)


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no such"):
        load_source(tmp_path / "gone")
    with pytest.raises(UsageError, match="no journal"):
        load_source(tmp_path)
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(UsageError, match="no solutions"):
        load_source(tmp_path / "empty.jsonl")
    write(tmp_path / "journal.jsonl", ("eval/a/p", "a", "generate", None))
    with pytest.raises(UsageError, match="no solutions"):
        load_source(tmp_path)


@pytest.mark.parametrize(
    ("text", "before", "code"),
    [
        (ANSWER, "First I add.", "print(1)\n"),
        ("def f():\n    pass\n", "", "def f():\n    pass\n"),
        ("I do not know.", "I do not know.", None),
        (
            "A\n```text\n1\n```\nB\n```python\nx = input()\n```",
            "A\n```text\n1\n```\nB",
            "x = input()\n",
        ),
        ("A ```python\nb", "A ```python\nb", None),
        ("", "", None),
        ("So:\r\n```python\r\nx = input()\r\n```", "So:", "x = input()\n"),
    ],
)
def test_the_text_before_the_program(text, before, code):
    assert split_answer(text) == (before, code)
