"""What programs can reach from inside the walls, and what they cannot, at each level."""

from __future__ import annotations

import os
from pathlib import Path

import ordinary_user
import pytest
import wall_probes
from process_tree import alive, descendants, eventually

import mars2
from mars2.config import VerifierConfig
from mars2.types import Problem, StdinTest
from mars2.verifier import Verifier, isolation_level
from mars2.verifier._sandbox import cgroup
from mars2.verifier._sandbox.scratch import Scratch, empty

NAMESPACES = frozenset({"user", "mount", "pid", "net", "ipc", "uts"})
ALL = NAMESPACES | {"private root", "seccomp", "landlock", "cgroup", "uid"}
ONE = VerifierConfig(workers=1, memory_limit_mb=1024, cache="off")


def _forbidden() -> tuple[str, str]:
    """The program that tries what is forbidden, and what it must print."""
    folder = str(Path(mars2.__file__).parent)
    code = wall_probes.FORBIDDEN.replace("{module!r}", repr(mars2.__file__))
    code = code.replace("{source!r}", repr(folder))
    return code, "".join(f"{name} refused\n" for name in wall_probes.NAMES) + "end\n"


def _ordinary() -> tuple[str, str]:
    return wall_probes.ORDINARY, "".join(f"{name} works\n" for name in wall_probes.WORKING)


def _litter(private: bool) -> tuple[str, str]:
    """What leaves things wherever a program may write at that level."""
    folders = ("/tmp", "/dev/shm") if private else ()
    return wall_probes.LITTER.replace("{folders}", repr(folders)), "[] 0o40700\n"


def _problem(expected: str) -> Problem:
    tests = [StdinTest(input="", expected=expected)]
    return Problem(id="p", statement="", private_tests=tests, time_limit_s=20)


async def _check(code: str, expected: str, without: frozenset[str] = frozenset()) -> None:
    async with Verifier(ONE, without=without) as verifier:
        family = [pid for root in verifier.worker_pids() for pid in (root, *descendants(root))]
        verdict = await verifier.verify(_problem(expected), code)
        wrong = set((verdict.tests[0].actual or "").splitlines()) ^ set(expected.splitlines())
        assert verdict.ok, (sorted(wrong), verdict.tests[0].exception)
        again = await verifier.verify(_problem("still here"), "print('still here')")
        assert again.ok
    assert eventually(lambda: not any(map(alive, family)))


HERE = isolation_level()
need_strict = pytest.mark.skipif(
    HERE.level != "strict", reason="this machine has no namespaces to give"
)


@need_strict
async def test_nothing_forbidden_is_possible() -> None:
    await _check(*_forbidden())


@need_strict
@pytest.mark.parametrize("without", [{"uid"}, {"landlock"}, {"cgroup", "landlock"}])
async def test_each_wall_is_one_of_several(without: set[str]) -> None:
    await _check(*_forbidden(), frozenset(without))


@pytest.mark.skipif(
    not {"landlock", "seccomp"} <= set(HERE.active), reason="no Landlock, or no filter"
)
async def test_nothing_forbidden_is_possible_without_namespaces() -> None:
    await _check(*_forbidden(), NAMESPACES)


@pytest.mark.parametrize(
    "without",
    [frozenset(), NAMESPACES, frozenset({"pid"}), ALL],
    ids=["strict", "restricted", "no pid namespace", "basic"],
)
async def test_ordinary_programs_work(without: frozenset[str]) -> None:
    await _check(*_ordinary(), without)


@pytest.mark.parametrize("name", ["forbidden", "ordinary", "litter"])
def test_as_an_ordinary_user(name: str) -> None:
    """The same in a user namespace, with the verdicts of a grader that is not root."""
    code, expected = {
        "forbidden": _forbidden,
        "ordinary": _ordinary,
        "litter": lambda: _litter(private=True),
    }[name]()
    here = [str(Path(mars2.__file__).parents[1]), str(Path(__file__).parent)]
    script = (
        f"import sys; sys.path[:0] = {here!r}\n"
        "import asyncio\n"
        "from mars2.config import VerifierConfig\n"
        "from mars2.types import Problem, StdinTest\n"
        "from mars2.verifier import Verifier, isolation_level\n"
        "level = isolation_level()\n"
        "print(level.level, level.missing)\n"
        "async def main():\n"
        "    config = VerifierConfig(workers=1, memory_limit_mb=1024, cache='off')\n"
        "    async with Verifier(config) as verifier:\n"
        "        for _ in range(3):\n"
        f"            tests = [StdinTest(input='', expected={expected!r})]\n"
        "            problem = Problem(id='p', statement='', private_tests=tests,\n"
        "                              time_limit_s=20)\n"
        f"            verdict = await verifier.verify(problem, {code!r})\n"
        "            test = verdict.tests[0]\n"
        "            print('passed' if verdict.ok else (test.actual, test.exception))\n"
        "asyncio.run(main())\n"
    )
    done = ordinary_user.run(script)
    lines = done.stdout.splitlines()
    assert lines, done.stderr
    if not lines[0].startswith("strict"):
        pytest.skip(f"no user namespaces: {lines[0]}")
    assert lines[1:] == ["passed"] * 3, done.stdout + done.stderr


@need_strict
async def test_the_private_root_shows_python_and_nothing_else() -> None:
    code = (
        "import os\n"
        "print(sorted(os.listdir('/etc')), 'bin' in os.listdir('/'))\n"
        "print([p for p in ('/boot', '/var', '/srv', '/sys', '/bin', '/sbin', '/run') "
        "if os.path.exists(p)])\n"
        "print(sorted(os.listdir('/dev')))\n"
    )
    devices = ["fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout"]
    devices += ["urandom", "zero"]
    async with Verifier(ONE) as verifier:
        verdict = await verifier.verify(_problem("?"), code)
    shown, places, dev = (verdict.tests[0].actual or "").splitlines()
    assert shown.endswith("] False")
    assert set(eval(shown[: -len(" False")])) <= {"group", "passwd", "ld.so.cache", "localtime"}
    assert places == "[]"
    assert eval(dev) == devices


@need_strict
@pytest.mark.parametrize("without", [frozenset(), NAMESPACES], ids=["private root", "landlock"])
async def test_what_a_program_leaves_is_gone(without: frozenset[str]) -> None:
    code, expected = _litter(private=not without)
    async with Verifier(ONE, without=without) as verifier:
        for _ in range(3):
            verdict = await verifier.verify(_problem(expected), code)
            assert verdict.ok, verdict.tests[0]


def test_a_deep_and_locked_tree_can_be_emptied(tmp_path: Path) -> None:
    start = os.getcwd()
    (tmp_path / "kept").mkdir()
    (tmp_path / "tree").mkdir()
    try:
        os.chdir(tmp_path / "tree")
        for _ in range(100):  # a path of 20,000 characters
            Path("file").touch()
            os.mkdir("y" * 200)
            os.chdir("y" * 200)
    finally:
        os.chdir(start)
    (tmp_path / "tree" / "file").chmod(0)
    (tmp_path / "tree").chmod(0)
    (tmp_path / "link").symlink_to("/")
    empty(str(tmp_path), {str(tmp_path / "kept")})
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_scratch_writes_and_cleans(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HOME", "PWD", "TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    scratch = Scratch(False, None)
    assert Path(scratch.put_program(b"print(1)")).read_bytes() == b"print(1)"
    scratch.clean()
    assert os.listdir(scratch.folder) == []
    (Path(scratch.folder) / "left").touch()
    Path(scratch.folder).chmod(0o500)
    scratch.clean()
    assert os.listdir(scratch.folder) == []
    assert os.stat(scratch.folder).st_mode & 0o777 == 0o700
    scratch.close()
    assert list(tmp_path.iterdir()) == []


async def test_control_groups_are_removed_and_swept() -> None:
    own = cgroup._own_groups()
    mounts = cgroup._mounts()
    if "cgroup" not in HERE.active or "pids" not in mounts:
        pytest.skip("control groups of version 1 cannot be made here")
    parent = Path(mounts["pids"]) / own["pids"].lstrip("/")
    stale = parent / f"mars2-{2**22 - 1}-1"  # of a launcher that is long gone
    stale.mkdir()
    async with Verifier(ONE) as verifier:
        assert not stale.exists()
        pids = verifier.worker_pids()
        assert [p for p in parent.glob("mars2-*") if p.name.startswith(f"mars2-{pids[0]}-")]
    assert not list(parent.glob(f"mars2-{pids[0]}-*"))
