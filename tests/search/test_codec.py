import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mars2.search.codec import (
    expansion_from_json,
    expansion_to_json,
    node_from_json,
    node_to_json,
)
from mars2.search.journal import _decode, _encode
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


@settings(max_examples=150, deadline=None)
@given(nodes)
def test_round_trip_is_exact(node):
    line = _encode(node_to_json(node))
    assert line.find(b"\n") == len(line) - 1
    assert _decode(line) == json.loads(line)
    back = node_from_json(_decode(line))
    assert back == node
    assert type(back.generation.logprobs) is type(node.generation.logprobs)


@given(st.sampled_from([None, 3]), st.sampled_from(["generate", "refine"]), st.sets(st.integers()))
def test_expansion_round_trip(parent, action, references):
    e = Expansion(7, parent, 2, "ann", action, tuple(references))
    assert expansion_from_json({"event": "ask", **expansion_to_json(e)}) == e


@pytest.mark.parametrize("damage", ["generation", "verdict", "prompt", "reward"])
def test_a_missing_part_is_an_error(damage):
    node = Node(
        "t",
        1,
        None,
        1,
        "ann",
        "generate",
        (Message("user", "x"),),
        Generation("y"),
        None,
        Verdict(status=Status.NO_CODE, passed=0, total=1),
        0.0,
    )
    data = node_to_json(node)
    del data[damage]
    with pytest.raises((KeyError, TypeError)):
        node_from_json(data)
