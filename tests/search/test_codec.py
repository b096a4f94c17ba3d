import copy
import json
import pickle
from dataclasses import FrozenInstanceError, asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mars2.errors import ResumeError
from mars2.search import codec
from mars2.search.codec import (
    expansion_from_json,
    expansion_to_json,
    node_from_json,
    node_to_json,
    stored_node,
)
from mars2.search.lines import decode, encode
from mars2.types import (
    Expansion,
    Generation,
    LcbResult,
    Message,
    Node,
    Status,
    TestVerdict,
    Usage,
    Verdict,
)

text = st.text(max_size=20)  # no lone surrogates: pydantic texts cannot hold any either
ids = st.none() | st.lists(st.integers(0, 200_000), max_size=8).map(tuple)
finite = st.floats(allow_nan=False)
verdicts = st.builds(
    Verdict,
    id=text,
    problem_id=text,
    status=st.sampled_from(Status),
    passed=st.integers(0, 9),
    total=st.integers(0, 9),
    tests=st.lists(
        st.builds(
            TestVerdict,
            status=st.sampled_from(Status),
            input=st.none() | text,
            expected=st.none() | text,
            traceback=st.none() | text,
            seconds=st.none() | st.floats(0, 10),
        ),
        max_size=3,
    ),
    lcb=st.none() | st.builds(LcbResult, results=st.just([True, -2]), error_code=st.just(-2)),
    seconds=st.floats(0, 100),
)
nodes = st.builds(
    Node,
    tree_id=text,
    node_id=st.integers(1, 10**6),
    parent_id=st.none() | st.integers(1, 10**6),
    depth=st.integers(1, 3000),
    agent=text,
    action=st.sampled_from(["generate", "refine"]),
    prompt=st.lists(st.builds(Message, role=text, content=text), max_size=3).map(tuple),
    generation=st.builds(
        Generation,
        text=st.text(st.characters(), max_size=20),
        finish_reason=st.sampled_from(["stop", "length"]),
        prompt_ids=ids,
        token_ids=ids,
        logprobs=st.none() | st.lists(finite, max_size=8).map(tuple),
        policy_version=st.integers(0, 99),
        usage=st.builds(Usage, st.integers(0, 9), st.integers(0, 9)),
        seconds=st.floats(0, 100),
    ),
    code=st.none() | text,
    verdict=verdicts,
    reward=st.floats(0, 1),
)


def later(node, line):
    """It, to be decoded when looked at."""
    e = Expansion(node.node_id, node.parent_id, node.depth, node.agent, node.action)
    return stored_node(node.tree_id, e, node.reward, line)


@settings(max_examples=150, deadline=None)
@given(nodes)
def test_round_trip_is_exact(node):
    line = encode(node_to_json(node))
    assert line.find(b"\n") == len(line) - 1
    assert decode(line) == json.loads(line)
    back = node_from_json(decode(line))
    assert later(node, line) == back
    assert back == node
    assert type(back.generation.logprobs) is type(node.generation.logprobs)


@given(st.sampled_from([None, 3]), st.sampled_from(["generate", "refine"]), st.sets(st.integers()))
def test_expansion_round_trip(parent, action, references):
    e = Expansion(7, parent, 2, "ann", action, tuple(references))
    assert expansion_from_json({"event": "ask", **expansion_to_json(e)}) == e


def make_node(**changes):
    verdict = Verdict(status=Status.NO_CODE, passed=0, total=1)
    prompt = (Message("user", "x"),)
    node = Node("t", 1, None, 1, "ann", "generate", prompt, Generation("y"), None, verdict, 0.5)
    return replace(node, **changes)


def stored(node):
    return later(node, encode(node_to_json(node)))


def test_a_stored_node_is_decoded_when_its_texts_are_looked_at(monkeypatch):
    decoded = []
    monkeypatch.setattr(codec, "decode", lambda text: decoded.append(1) or decode(text))
    node, whole = stored(make_node()), make_node()
    assert isinstance(node, Node)
    assert (node.tree_id, node.node_id, node.reward) == ("t", 1, 0.5)
    assert not decoded
    for name in ("prompt", "generation", "code", "verdict", "prompt"):
        assert getattr(node, name) == getattr(whole, name)
    assert decoded == [1]
    assert not hasattr(node, "anything")
    with pytest.raises(FrozenInstanceError):
        node.code = "x"


def test_a_stored_node_is_as_good_as_a_whole_one():
    whole = make_node(code="print()")
    assert stored(whole) == whole
    assert whole == stored(whole)
    assert [whole, stored(whole)] == [stored(whole), whole]
    for changes in ({"code": "x"}, {"reward": 1.0}, {"node_id": 2}):
        assert stored(whole) != make_node(**{"code": "print()"} | changes)
        assert make_node(**{"code": "print()"} | changes) != stored(whole)
    assert stored(whole) != "a node"
    assert replace(stored(whole), reward=1.0) == replace(whole, reward=1.0)
    assert asdict(stored(whole)) == asdict(whole)
    assert copy.copy(stored(whole)) == pickle.loads(pickle.dumps(stored(whole))) == whole
    assert "print()" in repr(stored(whole))


def test_a_stored_node_that_cannot_be_decoded_says_so():
    data = node_to_json(make_node())
    del data["verdict"]
    with pytest.raises(ResumeError, match=r"node 1 of tree 't' cannot be read.*verdict"):
        _ = later(make_node(), encode(data)).code


@pytest.mark.parametrize("damage", ["generation", "verdict", "prompt", "reward"])
def test_a_missing_part_is_an_error(damage):
    data = node_to_json(make_node())
    del data[damage]
    with pytest.raises((KeyError, TypeError)):
        node_from_json(data)
