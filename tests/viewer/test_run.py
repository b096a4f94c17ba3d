"""What a run directory says of its trees, and its journal as far as it goes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from view_kit import grow, settings, write_results, write_settings

from mars2.errors import ResumeError, UsageError
from mars2.search.journal import Journal
from mars2.types import Expansion
from mars2.viewer.recorder import Recorder, result_of
from mars2.viewer.run import chooser, open_run
from mars2.viewer.tail import Tail
from mars2.viewer.texts import Limits, Pool


def test_places_of_an_evaluation(tmp_path: Path) -> None:
    grow(tmp_path, 2, settings())
    run = open_run(tmp_path)
    team = run.place("eval/team/HumanEval/3")
    assert (team.group, team.problem, team.agent) == ("team", "HumanEval/3", None)
    alone = run.place("eval/bob/HumanEval/3")
    assert (alone.group, alone.problem, alone.agent) == ("bob alone", "HumanEval/3", "bob")
    assert run.place("before/team/x").group == "before: team"
    assert run.place("something").problem == "something"
    assert run.ordered


def test_training_trees_are_grouped_by_step(tmp_path: Path) -> None:
    grow(tmp_path, 2, settings())
    write_settings(tmp_path, settings(), kind="")
    rows = [{"step": i, "trees": {"count": 2}} for i in (1, 2)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "metrics.jsonl").write_text(text + '{"step": 3, "tre')
    run = open_run(tmp_path)
    assert run.kind == "train"
    groups = [run.place(f"{n:06d}/lab/a").group for n in range(5)]
    assert groups == ["step 1", "step 1", "step 2", "step 2", "step 3"]
    assert run.place("000001/lab/a").problem == "lab/a"


def test_trees_are_chosen_by_problem_and_by_pattern(tmp_path: Path) -> None:
    grow(tmp_path, 2, settings())
    run = open_run(tmp_path)
    assert chooser(run, [], []) is None
    wanted = chooser(run, ["P1"], ["eval/team/*"])
    assert wanted is not None
    trees = ("eval/team/P1", "eval/bob/P1", "eval/team/P2")
    assert [wanted(tree) for tree in trees] == [True, False, False]


def test_no_journal_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no journal\.jsonl"):
        open_run(tmp_path)


def test_a_journal_alone_will_do_and_says_what_it_lacks(tmp_path: Path) -> None:
    grow(tmp_path, 3, settings())
    (tmp_path / "config.json").unlink()
    run = open_run(tmp_path / "journal.jsonl")
    assert run.config is None
    assert "no settings" in run.notes[0]


def test_a_line_is_read_once_and_when_it_is_whole(tmp_path: Path) -> None:
    grow(tmp_path, 3, settings())
    journal = tmp_path / "journal.jsonl"
    whole = journal.read_bytes()
    lines = whole.splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:3]) + lines[3][:20])
    tail = Tail(journal)
    first = list(tail.read())
    assert len(first) == 2  # without header and torn line
    assert list(tail.read()) == []
    journal.write_bytes(whole)
    assert len(first + list(tail.read())) == len(lines) - 1
    assert tail.restarts == 0


def test_another_shorter_journal_begins_anew(tmp_path: Path) -> None:
    grow(tmp_path, 5, settings())
    tail = Tail(tmp_path / "journal.jsonl")
    assert len(list(tail.read())) == 10
    (tmp_path / "journal.jsonl").unlink()
    grow(tmp_path, 2, settings())
    assert len(list(tail.read())) == 4
    assert tail.restarts == 1


def test_damage_is_named(tmp_path: Path) -> None:
    grow(tmp_path, 3, settings())
    journal = tmp_path / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"event":"ask"', b'"event":"bsk"', 1))
    with pytest.raises(ResumeError, match="line 2"):
        list(Tail(journal).read())


def test_other_trees_are_not_even_parsed(tmp_path: Path) -> None:
    grow(tmp_path, 3, settings())
    grow(tmp_path, 3, settings(), tree="eval/team/P2")
    journal = tmp_path / "journal.jsonl"
    broken = journal.read_bytes().replace(b'"node_id":2', b'"node_id":#', 1)
    journal.write_bytes(broken)
    events = list(Tail(journal, lambda tree: tree.endswith("P2")).read())
    assert {e["tree"] for e in events} == {"eval/team/P2"}


def test_lines_are_stored_once_and_texts_come_back() -> None:
    pool = Pool()
    a, b = pool.put("x\ny\n", None), pool.put("y\nx", None)
    lines = pool.take()
    assert lines == ["x", "y", ""]
    assert ["\n".join(lines[i] for i in t) for t in (a, b)] == ["x\ny\n", "y\nx"]
    assert pool.take() == []
    cut = pool.put("a" * 10 + "b" * 10, 6)
    lines += pool.take()
    assert cut["cut"] == 14
    assert "".join(lines[i] for i in cut["head"] + cut["tail"]) == "aaaabb"


def test_texts_beyond_the_total_are_left_out_and_counted(tmp_path: Path) -> None:
    grow(tmp_path, 20, settings())
    recorder = Recorder(open_run(tmp_path), Limits(total=800))
    records = [r for e in Tail(tmp_path / "journal.jsonl").read() for r in recorder.event(e)]
    told = [r[5] for r in records if r[0] == "tell"]
    assert recorder.without_texts == sum("code" not in details for details in told) > 5
    assert all(details["status"] for details in told)


def test_results_come_when_they_are_there(tmp_path: Path) -> None:
    grow(tmp_path, 3, settings())
    recorder = Recorder(open_run(tmp_path))
    for event in Tail(tmp_path / "journal.jsonl").read():
        recorder.event(event)
    assert recorder.ending() == [["status", "finished"]]
    assert recorder.ending() == []
    write_results(tmp_path, {"P1": {"passed": [2], "selected_at": [[1, 1], [2, 2]]}})
    ((kind, tree, result),) = recorder.ending()
    assert (kind, tree) == ("result", 0)
    assert result["selected"] == 2
    assert result_of({"selected": True, "any_passed": True})["selected_passed"] is True


def test_a_tree_under_way_has_pending_nodes(tmp_path: Path) -> None:
    write_settings(tmp_path, settings())
    with Journal.open(tmp_path / "journal.jsonl", {}) as journal:
        journal.tree("t").ask(Expansion(1, None, 1, "ann", "generate"), 0.5)
        journal.tree("t").team("join", "dan", 0.6)
        recorder = Recorder(open_run(tmp_path))
        events = list(Tail(tmp_path / "journal.jsonl").read())
    kinds = [r[0] for e in events for r in recorder.event(e)]
    assert [k for k in kinds if k != "arms"] == ["tree", "ask", "team"]
