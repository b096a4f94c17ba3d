import json
import math
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from search_helpers import make_node

from mars2.errors import ResumeError
from mars2.search import Journal, read_journal
from mars2.search import journal as journal_module
from mars2.search.codec import expansion_from_json, node_from_json
from mars2.types import Expansion, Generation

HEADER = {"config_hash": "abc", "seed": 3}


def expansion(i, parent=None):
    return Expansion(i, parent, 1 if parent is None else 2, "ann", "generate")


def write_two_trees(path):
    with Journal.open(path, HEADER) as journal:
        t, u = journal.tree("t"), journal.tree("u")
        t.ask(expansion(1))
        u.ask(expansion(1))
        t.ask(expansion(2))
        u.tell(make_node("u", expansion(1), 0.5))
        t.fail(1, "generation", "no answer")
        t.tell(make_node("t", expansion(2), 0.25))


def names(events):
    return [(e["event"], e["node_id"]) for e in events]


def test_trees_share_a_file_and_keep_their_own_order(tmp_path):
    path = tmp_path / "deep" / "search.jsonl"
    write_two_trees(path)
    with Journal.open(path, HEADER) as journal:
        assert journal.trees == ["t", "u"]
        t = [("ask", 1), ("ask", 2), ("fail", 1), ("tell", 2)]
        assert names(journal.tree("t").events()) == t
        assert names(journal.tree("u").events()) == [("ask", 1), ("tell", 1)]
        assert list(journal.tree("new").events()) == []
        journal.tree("t").ask(expansion(3))
        assert names(journal.tree("t").events()) == [*t, ("ask", 3)]
    header, *events = read_journal(path)
    assert (header["event"], header["schema"], header["config_hash"]) == ("header", 2, "abc")
    assert len(events) == 7
    assert all(line.endswith("\n") for line in path.open())


@pytest.mark.parametrize("chunk", [1, 300, 1 << 20])
def test_adjacent_lines_are_read_together(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(journal_module, "_CHUNK", chunk)
    told: dict[str, list[int]] = {"t": [], "u": [], "v": []}
    with Journal.open(tmp_path / "j", HEADER) as journal:
        for i in range(1, 60):
            tree_id = "tttuvuuttv"[i % 10]
            told[tree_id].append(i)
            journal.tree(tree_id).tell(make_node(tree_id, expansion(i), 0.5))
        for tree_id, ids in told.items():
            events = list(journal.tree(tree_id).replay())
            assert [e["node_id"] for _, e in events] == ids
            assert [where.split()[-1] for where, _ in events] == [str(i + 1) for i in ids]


def test_texts_and_numbers_come_back_whatever_they_are(tmp_path):
    node = replace(
        make_node("t", expansion(1), 0.1 + 0.2),
        generation=Generation("\ud800 \udc00\ud83d \0 \x7f \u2028", logprobs=(-math.inf, 5e-324)),
        code="[" * 1000 + str(10**40),
    )
    path = tmp_path / "j"
    with Journal.open(path, HEADER) as journal:
        journal.tree("t").tell(node)
        journal.tree("t").cancel(2)
        deep = b'{"event":"fail","tree":"t","seconds":1e-7,"x":' + b"[" * 300 + b"]" * 300 + b"}\n"
        journal._append_line(deep)
    with Journal.open(path, HEADER) as journal:
        (told, *_) = journal.tree("t").events()
        assert node_from_json(told["node"]) == node
    assert len(list(read_journal(path))) == 4


def test_other_settings_are_refused_and_named(tmp_path):
    path = tmp_path / "j.jsonl"
    write_two_trees(path)
    before = path.read_bytes()
    with pytest.raises(ResumeError, match=r"seed: 3 -> 4") as caught:
        Journal.open(path, {"config_hash": "abd", "seed": 4})
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before
    # Without a hash the whole header counts.
    bare = tmp_path / "bare.jsonl"
    Journal.open(bare, {"seed": 1}).close()
    Journal.open(bare, {"seed": 1}).close()
    with pytest.raises(ResumeError):
        Journal.open(bare, {"seed": 2})


def test_a_torn_last_line_is_dropped_at_every_byte(tmp_path):
    path = tmp_path / "j.jsonl"
    write_two_trees(path)
    whole = path.read_bytes()
    ends = [i + 1 for i, b in enumerate(whole) if b == ord("\n")]
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        kept = max((e for e in ends if e <= size), default=0)
        assert sum(1 for _ in read_journal(path)) == whole[:kept].count(b"\n")
        with Journal.open(path, HEADER) as journal:
            journal.tree("t").ask(expansion(9))
        lines = path.read_bytes().splitlines(keepends=True)
        assert b"".join(lines[:-1]) == whole[: max(kept, ends[0])]
        assert json.loads(lines[-1])["node_id"] == 9


def test_a_garbled_last_line_is_dropped(tmp_path):
    path = tmp_path / "j.jsonl"
    write_two_trees(path)
    whole = path.read_bytes()
    for tail in (b'{"event":"te\n', b"\0\0\0\0", b"\xff\xfe\n", b"[1]\n"):
        path.write_bytes(whole + tail)
        Journal.open(path, HEADER).close()
        assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "damage",
    [
        b"{torn\n",
        b"\n",
        b"[]\n",
        b'{"event":"ask"}\n',
        b'{"event":"gift","tree":"t"}\n',
        b"\xff\n",
        b'{"event":"cancel","tree":"t","node_id":1}\n',
    ],
)
def test_damage_in_the_middle_names_file_and_line(tmp_path, damage):
    path = tmp_path / "j.jsonl"
    write_two_trees(path)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3] = damage
    path.write_bytes(b"".join(lines))
    for reader in (lambda: Journal.open(path, HEADER), lambda: list(read_journal(path))):
        with pytest.raises(ResumeError, match="line 4") as caught:
            reader()
        assert str(path) in str(caught.value)
    assert path.read_bytes() == b"".join(lines)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"reward":', b'"reward";'),
        (b"attempt 1", b"attempt 2"),
        (b'"node_id":1', b'"node_id":2'),
        (b'"usage":[2,2]', b'"usage":[9,2]'),
        (b',"crc":', b',"crc":1'),
    ],
)
def test_damage_within_a_node_names_file_and_line(tmp_path, old, new):
    path = tmp_path / "j.jsonl"
    write_two_trees(path)
    lines = path.read_bytes().splitlines(keepends=True)
    assert old in lines[4]
    lines[4] = lines[4].replace(old, new, 1)
    path.write_bytes(b"".join(lines))
    with Journal.open(path, HEADER) as journal:
        assert len(list(journal.tree("t").events())) == 4
        u = journal.tree("u")
        for reader in (u.events, u.replay, lambda: read_journal(path)):
            with pytest.raises(ResumeError, match="line 5: the line does not match its") as caught:
                list(reader())
            assert str(path) in str(caught.value)
    # As the last line it is one that the disk did not take whole.
    path.write_bytes(b"".join(lines[:5]))
    with Journal.open(path, HEADER) as journal:
        assert names(journal.tree("u").events()) == [("ask", 1)]


def test_a_replay_leaves_nodes_that_have_a_checksum_as_they_are_written(tmp_path):
    path = tmp_path / "j.jsonl"
    write_two_trees(path)
    lines = path.read_bytes().splitlines(keepends=True)
    node = make_node("u", expansion(1), 0.5)
    with Journal.open(path, HEADER) as journal:
        _, (where, event) = journal.tree("u").replay()
    assert where == f"{path}, line 5"
    written = event.pop("node")
    assert isinstance(written, bytes)
    assert node_from_json(json.loads(written)) == node
    assert event == {
        **{"event": "tell", "tree": "u", "seconds": 0.0},
        **{"node_id": 1, "reward": 0.5, "usage": [2, 2]},
    }
    # Written in another way, it is read as any other line.
    lines[4] = json.dumps(json.loads(lines[4])).encode() + b"\n"
    path.write_bytes(b"".join(lines))
    with Journal.open(path, HEADER) as journal:
        _, (_, event) = journal.tree("u").replay()
    assert node_from_json(event["node"]) == node


@pytest.mark.parametrize("tree_id", ['a "quoted" \\ id', "é\n\u2028", "", "\\", '","node_id":'])
def test_any_tree_id(tmp_path, tree_id):
    path = tmp_path / "j.jsonl"
    for i in (1, 2, 3):
        with Journal.open(path, HEADER) as journal:
            journal.tree(tree_id).ask(expansion(i))
            assert journal.trees == [tree_id]
            assert len(list(journal.tree(tree_id).events())) == i


@pytest.mark.parametrize(
    "content",
    [b"my notes", b'{"a": 1}\n', b'{"event":"tell","tree":"t"}\n', b"x\ny\n", b"\x89PNG"],
)
def test_another_file_is_never_touched(tmp_path, content):
    path = tmp_path / "notes"
    path.write_bytes(content)
    with pytest.raises(ResumeError):
        Journal.open(path, HEADER)
    assert path.read_bytes() == content


@pytest.mark.parametrize("schema", [1, 99])
def test_another_schema_is_refused_untouched(tmp_path, schema):
    path = tmp_path / "j.jsonl"
    text = f'{{"event":"header","schema":{schema},"config_hash":"abc"}}\n'
    path.write_text(text)
    for reader in (lambda: Journal.open(path, HEADER), lambda: list(read_journal(path))):
        with pytest.raises(ResumeError, match=rf"schema {schema}.*reads schema 2.*begin anew"):
            reader()
    assert path.read_text() == text


def test_every_event_is_read_at_a_glance_and_holds_what_was_given(tmp_path, monkeypatch):
    path = tmp_path / "j.jsonl"
    e = Expansion(2, 1, 2, "bob", "refine", (3, 1))
    with Journal.open(path, HEADER) as journal:
        t = journal.tree("t")
        t.ask(e, 0.1234567)
        t.tell(make_node("t", e, 0.5), 2)
        t.fail(3, "infra", "no sandbox", make_node("t", e, 0.0), 12345.6789)
        t.cancel(4, 1e6)
        t.team("join", "zoe", 1e-9)
        t.team("leave", "bob", 0.0)
        t.cancel(5, 7.0)
    # None of them needs to be parsed to find its tree (the last line is, as it may be torn).
    parsed = []
    real = journal_module.parse
    monkeypatch.setattr(
        journal_module, "parse", lambda *a, **k: parsed.append(a[2]) or real(*a, **k)
    )
    with Journal.open(path, HEADER) as journal:
        assert parsed == [1, 8]
        events = list(journal.tree("t").events())
    assert [e["seconds"] for e in events] == [0.123, 2, 12345.679, 1e6, 0.0, 0.0, 7.0]
    assert expansion_from_json(events[0]) == e
    assert [(e["event"], e["agent"]) for e in events[4:6]] == [("join", "zoe"), ("leave", "bob")]
    assert [e["node_id"] for e in events[1:4]] == [2, 3, 4]


def test_what_cannot_be_opened(tmp_path):
    with pytest.raises(ResumeError, match="cannot be opened"):
        Journal.open(tmp_path, HEADER)
    with pytest.raises(ResumeError, match="cannot be read"):
        list(read_journal(tmp_path / "none.jsonl"))


def test_one_writing_process_at_a_time(tmp_path):
    path = tmp_path / "j.jsonl"
    script = (
        "import sys; from mars2.search import Journal; from mars2.errors import ResumeError\n"
        "try: Journal.open(sys.argv[1], {'config_hash': 'abc'})\n"
        "except ResumeError as e: print(e)\n"
        "else: print('opened')"
    )

    def other():
        args = [sys.executable, "-c", script, str(path)]
        return subprocess.run(args, capture_output=True, text=True, check=True).stdout

    with Journal.open(path, HEADER) as journal:
        journal.tree("t").ask(expansion(1))
        assert names(journal.tree("t").events()) == [("ask", 1)]
        assert "in use" in other()
    assert other() == "opened\n"


def test_a_line_is_in_the_file_when_the_call_returns(tmp_path):
    path = tmp_path / "j.jsonl"
    with Journal.open(path, HEADER) as journal:
        journal.tree("t").ask(expansion(1))
        assert len(path.read_bytes().splitlines()) == 2


def test_a_full_disk_leaves_whole_lines(tmp_path):
    path = tmp_path / "j.jsonl"
    journal = Journal.open(path, HEADER)
    real = journal._file

    class Full:
        """Takes ten bytes, then refuses."""

        def __init__(self):
            self.left = 10

        def write(self, data):
            if not self.left:
                raise OSError(28, "No space left on device")
            self.left = 0
            return real.write(data[:10])

        def __getattr__(self, name):
            return getattr(real, name)

    journal._file = Full()
    with pytest.raises(OSError, match="No space"):
        journal.tree("t").ask(expansion(1))
    journal._file = real
    journal.tree("t").ask(expansion(2))
    journal.close()
    journal.close()
    assert names(list(read_journal(path))[1:]) == [("ask", 2)]
    assert os.path.getsize(path) == len(path.read_bytes())
