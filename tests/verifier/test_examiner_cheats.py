"""A test program and a submission in two processes: what no submission can do."""

# ruff: noqa: E501 (small programs, one to a string)

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from examiner_run import passes, run, wrong

from mars2.verifier._sandbox import remote, wire

ALWAYS = (
    "class E:\n"
    + "".join(
        f"    def __{n}__(self, *a):\n        return True\n"
        for n in ("eq", "contains", "ge", "le", "lt", "gt", "instancecheck", "bool")
    )
    + "    def __ne__(self, o):\n        return False\n    def __hash__(self):\n        return 3\n"
    + "    __float__ = lambda s: 3.5\n    __int__ = __index__ = __round__ = lambda s, *a: 3\n"
    + "    __sub__ = __rsub__ = __abs__ = lambda s, *a: 0.0\n    __class__ = int\n"
    + "    startswith = issubset = lambda s, *a: True\n"
    + "def f(*a):\n    return E()\n"
)
NEVER_PASS = {
    "equal": "assert f(1) == 3",
    "equal reversed": "assert 3 == f(1)",
    "not unequal": "assert not (f(1) != 3)",
    "in": "assert f(1) in (3, 4)",
    "contains": "assert 3 in f(1)",
    "greater": "assert f(1) >= 3",
    "less": "assert 3 < f(1)",
    "difference": "assert abs(f(1) - 3.5) < 1e-6",
    "difference reversed": "assert abs(3.5 - f(1)) < 1e-6",
    "isclose": "import math\nassert math.isclose(f(1), 3.5)",
    "round": "assert round(f(1), 2) == 3",
    "nested": "assert [f(1)] == [3]",
    "set": "assert {f(1)} == {3}",
    "isinstance": "assert isinstance(f(1), int)",
    "startswith": "assert f(1).startswith('abc')",
    "issubset": "assert f(1).issubset({1})",
    "assertEqual": "import unittest\nunittest.TestCase().assertEqual(f(1), 3)",
    "swallowed": "try:\n    r = f(1)\nexcept Exception:\n    r = None\nassert r == 3",
}


@pytest.mark.parametrize("name", NEVER_PASS)
def test_an_always_equal_object_never_passes(name: str) -> None:
    for own_equality in (False, True):
        kind, fields = run(ALWAYS, NEVER_PASS[name], own_equality=own_equality)
        assert kind == "E", fields


def test_objects_equal_themselves_only_or_by_their_own_equality() -> None:
    source = "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int\ndef f():\n    return P(1)\n"
    wrong(source, "assert f() == P(1)")
    passes(source, "assert f() == P(1) and f() != P(2) and f() != 1", own_equality=True)


SUBCLASSES = """
class I(int):
    __eq__ = lambda s, o: True
    __ne__ = lambda s, o: False
    __hash__ = int.__hash__
    __class__ = property(lambda s: str)
class L(list):
    __eq__ = lambda s, o: True
    __len__ = lambda s: 3
    def __iter__(self): return iter([1, 2, 3])
class D(dict):
    __eq__ = lambda s, o: True
class S(str):
    __eq__ = lambda s, o: True
    __hash__ = str.__hash__
def f(kind): return {'i': I(7), 'l': L(), 'd': D(), 's': S('x'), 'n': [I(7), {'a': S('q')}]}[kind]
"""


@pytest.mark.parametrize(
    "test",
    ["f('i') == 3", "f('l') == [1, 2, 3]", "f('d') == {1: 2}", "f('s') == 'y'", "f('n')[0] == 3"],
)
def test_subclasses_are_their_base_values(test: str) -> None:
    wrong(SUBCLASSES, f"assert {test}")
    passes(SUBCLASSES, "assert (f('i'), f('l'), f('d'), f('s')) == (7, [], {}, 'x')")


CHEATS = {
    "patched built-ins": "import builtins\nbuiltins.AssertionError = type('A', (BaseException,), {})\n"
    "builtins.abs = lambda x: 0\nbuiltins.all = lambda x: True\n",
    "own built-ins": "def abs(x):\n return 0\ndef all(x):\n return True\ndef isinstance(*a):\n return True\n"
    "class AssertionError(Exception):\n pass\ndef check(f):\n pass\n",
    "own math": "class math:\n isclose = staticmethod(lambda *a, **k: True)\n",
    "own math as an object": "class M:\n def isclose(self, *a, **k):\n  return True\nmath = M()\n",
    "exit": "import sys\ndef f(x):\n sys.exit(0)\n",
    "exit at load": "import os\nos._exit(0)\n",
    "exit in a call": "import os\ndef f(x):\n os._exit(0)\n",
    "exit quietly at load": "import sys\nsys.exit()\n",
    "stop iteration": "def f(x):\n raise StopIteration\n",
    "generator exit": "def f(x):\n raise GeneratorExit\n",
    "keyboard": "def f(x):\n raise KeyboardInterrupt\n",
    "mock": "from unittest.mock import ANY\ndef f(x):\n return ANY\n",
    "mock itself": "from unittest.mock import MagicMock as f\n",
    "frames": "import sys\ndef f(x):\n"
    "    e = sys._getframe()\n    while e:\n        for v in list(e.f_locals.values()) + list(e.f_globals.values()):\n"
    "            if isinstance(v, str) and 'marker' in v:\n                return v\n        e = e.f_back\n",
    "answers on the pipe": "import os\ndef f(x):\n"
    "    for fd in range(3, 200):\n        for m in (b'[\"ok\",true]', b'D', b'\\x00\\x00\\x00\\x00', b'[\"done\"]'):\n"
    "            try:\n                os.write(fd, len(m).to_bytes(4, 'big') + m)\n            except OSError:\n                pass\n",
    "fork": "import os\ndef f(x):\n    os.fork()\n    return 1\n",
    "closed pipes": "import os\ndef f(x):\n    os.closerange(3, 200)\n    return 1\n",
}
HIDDEN = "mar" + "ker-of-the-expected-value"
TESTS = {
    "plain": f"assert f(1) == {HIDDEN!r}",
    "check": f"def check(g):\n    assert g(1) == {HIDDEN!r}\ncheck(f)",
    "all": f"assert all(f(x) == {HIDDEN!r} for x in [1, 2])",
    "map": f"for x in map(f, [1]):\n    assert x == {HIDDEN!r}\nassert len(list(map(f, [1, 2]))) == 2 and list(map(f, [1])) == [{HIDDEN!r}]",
    "close": "import math\nassert math.isclose(f(1), 0.25) and abs(f(1) - 0.25) < 1e-9",
    "implicit math": "assert math.isclose(f(1), 0.25)",
    "caught": f"try:\n    r = f(1)\nexcept BaseException:\n    r = {HIDDEN!r}\n    raise\nassert r == {HIDDEN!r}",
}


@pytest.mark.parametrize("tests", TESTS)
@pytest.mark.parametrize("name", CHEATS)
def test_no_cheat_passes(name: str, tests: str) -> None:
    source = CHEATS[name]
    if "def f" not in source and "as f" not in source:
        source = "def f(x):\n    return 5\n" + source
    kind, fields = run(source, TESTS[tests])
    assert kind == "E", (kind, fields)


def test_a_dead_submission_cannot_be_swallowed() -> None:
    source = "import os\ndef f():\n    os._exit(0)\n"
    for tests in (
        "try:\n    f()\nexcept BaseException:\n    pass",
        "f()",
        "def g():\n    f()\ng()",
    ):
        kind, fields = run(source, tests)
        assert (kind, fields["stage"]) == ("E", "died")


def test_a_skip_of_the_submission_skips_no_test() -> None:
    source = "import unittest\ndef f():\n    raise unittest.SkipTest('x')\n"
    tests = "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n        self.assertEqual(f(), 1)\nr = unittest.TestResult()\nT('test').run(r)\nassert r.wasSuccessful()"
    wrong(source, tests)
    passes("def f():\n    return 1\n", tests)


def test_a_callbacks_assertion_fails_the_test_and_keeps_its_text() -> None:
    source = (
        "def f(g):\n    try:\n        g(1)\n    except AssertionError as e:\n        return str(e)"
    )
    tests = "def g(x):\n    assert x == 2, 'the expected value'\nassert f(g) == ''"
    kind, fields = run(source, tests)
    # Swallowed by the submission, it fails the test nevertheless; the last line held.
    assert (kind, fields["in_tests"]) == ("E", True)
    assert "in g" in fields["traceback"]
    assert "f(g)" not in fields["traceback"]


def test_a_built_in_is_the_tests_own_unless_it_is_the_entry() -> None:
    source = "def abs(x):\n    return 0\ndef f(x):\n    return 9\n"
    wrong(source, "assert abs(f(1) - 3) < 1")
    wrong(source, "assert abs(abs(1) - 3) < 1", entry="f")
    passes(source, "assert abs(-3) == 0", entry="abs")


FORGED: list[Any] = [
    *(5, None, "x", [], ["D"], ["done"], [1], ["ok"], ["ok", {"ref": 1}], ["ok", {"tuple": 5}]),
    *(["ok", {"a": 1, "b": 2}], ["ok", {"fraction": ["1", "0"]}], ["ok", {"int": []}]),
    *(["ok", {"ref": [2, "nothing", "x"]}], ["ok", {"named": ["unittest.mock", "ANY"]}]),
    *(["ok", {"named": ["builtins", "exec"]}], ["ok", {"set": [[1]]}], ["ok", 1, [[5, 1]]]),
    *(["ok", {"exception": [5, ["x"], "print", 3]}], ["raised", {"exception": [1, [], "x", ""]}]),
    *(
        ["same", 9, []],
        ["same"],
        ["raised"],
        ["raised", 1, [], {}, "", {}],
        ["callback", 1, [], {}],
    ),
    *(["ok", {"record": ["x; import os", ["a"], [1]]}], ["ok", {"record": ["x", ["__a"], [1]]}]),
    *(["callback"], ["ok", {"": 1}], ["ok", {"range": [1, 2, 0]}], ["ok", {"date": [0, 1, 1]}]),
    ["raised", {"exception": [1, ["x"], "print", "solution"]}, [], {"dict": [[], []]}, "", {}],
    ["raised", {"named": ["builtins", "int"]}, [], {"dict": [[], []]}, "", {}],
]
RAW = [
    b"",
    b"\xff" * 8,
    b"\x00\x00\x00\x02[[",
    b"\x00\x00\x00\x00",
    b"\x00\x01\x00\x00" + b"[" * 65536,
]


def forged(message: bytes) -> Callable[[int, int], None]:
    """A submission's process that says it has `f` and then answers with these bytes."""

    def serve(reads: int, writes: int) -> None:
        text = b'["loaded",{"f":{"ref":[1,"callable","function"]}}]'
        os.write(writes, len(text).to_bytes(4, "big") + text)
        os.read(reads, 1 << 16)
        while message:
            os.write(writes, message)
            break

    return serve


@pytest.mark.parametrize("message", [*FORGED, *RAW], ids=lambda m: str(m)[:40])
def test_forged_answers_are_no_answers(message: Any) -> None:
    if not isinstance(message, bytes):
        text = json.dumps(message).encode()
        message = len(text).to_bytes(4, "big") + text
    tests = "try:\n    f(1)\nexcept BaseException:\n    pass"
    kind, fields = run("", tests, serve=forged(message))
    assert (kind, fields.get("stage")) == ("E", "died"), (kind, fields)


class Canned:
    """A channel whose other side says one thing, whatever it is asked."""

    def __init__(self, message: Any) -> None:
        self._messages = [message]

    def send(self, message: Any) -> None:
        pass

    def receive(self) -> Any:
        if not self._messages:
            raise EOFError
        return self._messages.pop()


def scrambled(rng: random.Random, value: Any, depth: int = 0) -> Any:
    """`value` with some of its parts replaced by others of any kind."""
    kinds = [*wire._DECODERS, "ref", "named", "exception", "callback", "module", "nothing"]
    plain = [None, True, 0, -1, 1 << 70, 1.5, "", "x", "ff", "builtins", [], {}, [1, "x"], [[], []]]
    if rng.random() < 0.15 or depth > 6:
        part = rng.choice([*plain, value])
        return {rng.choice(kinds): part} if rng.random() < 0.6 else part
    if type(value) is list:
        return [
            scrambled(rng, i, depth + 1)
            for i in value
            for _ in range(rng.choice((0, 1, 1, 1, 1, 2)))
        ]
    if type(value) is dict:
        return {
            rng.choice((k, k, rng.choice(kinds))): scrambled(rng, v, depth + 1)
            for k, v in value.items()
        }
    return value


def test_scrambled_answers_raise_nothing_but_a_loss_or_their_own_exception() -> None:
    rng = random.Random(5)
    parts = [{kind: [[1, "a"], [2.5, {"tuple": [1]}], "int"]} for kind in wire._DECODERS]
    seeds: list[Any] = [["ok", part, [[0, [1, 2]]]] for part in parts]
    seeds += [
        ["ok", {"ref": [3, "object", "N"]}],
        ["same", 0, [[0, [3]]]],
        ["printed", "x"],
        ["large"],
    ]
    seeds += [["callback", 1, [1], {"x": 2}], ["ok", {"record": ["P", ["x", "y"], [1, 2]]}]]
    seeds += [
        [
            "raised",
            {"named": ["builtins", "KeyError"]},
            ["k"],
            {"dict": [["a"], [1]]},
            "k",
            {"type": "KeyError"},
        ]
    ]
    seeds += 20 * seeds[-1:]  # rarely whole
    ends: set[str] = set()
    for _ in range(10_000):
        link = remote.Link(Canned(scrambled(rng, rng.choice(seeds))))  # type: ignore[arg-type]
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                link.ask("call", [0, 1])
            ends.add("value")
        except remote.Lost as lost:
            ends.add("lost" if link.lost is lost else "lost and forgotten")
        except Exception as error:
            ends.add("raised" if "_mars_told" in vars(error) else repr(error))
    assert ends == {"value", "lost", "raised"}


def test_expected_values_are_not_in_the_submissions_memory() -> None:
    # The submission reads all of its own memory for a marker that only the test program has.
    source = (
        "def f(x):\n    found = total = 0\n"
        "    for line in open('/proc/self/maps'):\n        a, b = (int(v, 16) for v in line.split()[0].split('-'))\n"
        "        if 'rw' not in line.split()[1] or b - a > 1 << 28:\n            continue\n"
        "        with open('/proc/self/mem', 'rb', 0) as m:\n            try:\n                m.seek(a)\n                data = m.read(b - a)\n"
        "            except OSError:\n                continue\n"
        "        total += len(data)\n        i = data.find(b'secret-expected-')\n"
        "        while i >= 0:\n            found += data[i + 16:i + 32] == bytes(reversed(b'24' * 8)) and data[i + 32:i + 35] == b'END'\n"
        "            i = data.find(b'secret-expected-', i + 1)\n"
        "    return (found, total > 1 << 20)\n"
    )
    script = (
        "import os, sys\nfrom mars2.verifier._sandbox import examiner, subject\n"
        "a, b = os.pipe()\nc, d = os.pipe()\n"
        f"if os.fork() == 0:\n    os.close(b), os.close(c)\n    subject.serve({source!r}.encode(), 'x.py', a, d, 1 << 20)\n    os._exit(0)\n"
        "os.close(a), os.close(d)\n"
        "word = '-'.join(['secret', 'expected', '42' * 8]) + 'END'\n"
        "tests = f'expected = {word!r}\\ngot = f(1)\\nassert got == (0, True), got\\nassert f(1) != expected'\n"
        "examiner.examine(tests.encode(), b, c, lambda k, p: print(k.decode(), p.decode()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "D", done.stdout + done.stderr


def test_the_codec_is_strict_about_its_input() -> None:
    class Plain(wire.Codec):
        def refer(self, value: Any) -> Any:
            return {"opaque": [type(value).__name__, ""]}

        def resolve(self, kind: str, data: Any) -> Any:
            raise ValueError(kind)

    codec = Plain(1000)
    nested: Any = 1
    for _ in range(900):
        nested = {"tuple": [nested]}
    for bad in ({}, {"x": 1}, {"range": [1, 2, 0]}, {"str": "zz"}, {"date": [0, 1, 1]}, nested):
        with pytest.raises(ValueError, match=r".*"):
            codec.unpack(bad)
    for large in ([[1]] * 2000, [1] * 2000, "x" * 2000, b"x" * 2000, 1 << 9000, {"a": "b" * 2000}):
        with pytest.raises(wire.TooLarge):
            codec.pack(large if type(large) is not int else [large] * 1000)
    opaque = codec.unpack(codec.pack(object()))
    assert opaque != codec.unpack(codec.pack(object()))
    assert opaque != "object"
    with pytest.raises(AttributeError):
        _ = opaque.real
