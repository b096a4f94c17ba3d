"""No hostile program of the corpus gets a verdict it should not, and none leaves a trace.

One run judges every program that was selected, each profile once; every program is then a test
of its own. Wall time is recorded (`record_property`) and decides nothing.

The fast tests judge every attack natively, of several kinds of tests in one each, in turn, and
of these the short ones by the official profile. The slow tests judge the rest, and everything
again as an ordinary user.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile_run
import pytest
import verifier_corpus
from hostile_run import Outcome

PROFILES = ("native", "lcb")
CASES = hostile_run.cases({})
_NAMES = [case.problem.id for case in CASES]
_LONG = ("hostile/", "hostile_floods", "hostile_time")  # attacks that are ended by a limit
_UNUSED_UID = 54321
_SOURCE = str(Path(__file__).parents[2] / "src")


def _chosen() -> list[Any]:
    """Profile and program of each test."""
    params = []
    for profile in PROFILES:
        names = hostile_run.names_for(profile)
        fast = set(hostile_run.sample(names))
        if profile == "lcb":
            fast = {name for name in fast if not name.startswith(_LONG)}
        for name in names:
            marks = () if name in fast else (pytest.mark.slow,)
            params.append(pytest.param(profile, name, marks=marks, id=f"{profile}-{name}"))
    return params


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> dict[str, Outcome]:
    """Outcomes of the selected programs, by problem id."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    params = [item.callspec.params for item in items if hasattr(item, "callspec")]
    chosen = [p["hostile"] for p in params if "hostile" in p and p["outcomes"] == request.param]
    return _judged(request.param, tuple(chosen))


@functools.cache  # pytest makes the fixture anew for each of its parameters
def _judged(profile: str, names: tuple[str, ...]) -> dict[str, Outcome]:
    return hostile_run.run(profile, names)


@pytest.mark.parametrize(("outcomes", "hostile"), _chosen(), indirect=["outcomes"])
def test_hostile_program(
    hostile: str,
    outcomes: dict[str, Outcome],
    record_property: Callable[[str, object], None],
) -> None:
    outcome = outcomes[hostile]
    record_property("seconds", outcome.seconds)
    record_property("status", outcome.status)
    assert not outcome.faults()


@pytest.mark.parametrize("outcomes", PROFILES, indirect=True)
def test_no_process_is_left_in_the_end(outcomes: dict[str, Outcome]) -> None:
    assert not [name for name in outcomes if name.startswith("process ")]


def test_the_corpus_is_broad() -> None:
    names = [
        row["name"] for group in verifier_corpus.HOSTILE for row in verifier_corpus.rows(group)
    ]
    assert len(names) == len(set(names)) > 500  # an attack of several kinds counts once
    assert len(set(_NAMES)) == len(_NAMES) >= 1100


@pytest.mark.parametrize("group", verifier_corpus.HOSTILE)
def test_no_hostile_program_can_run_as_it_is_stored(group: str) -> None:
    for row in verifier_corpus.rows(group):
        text = row.get("attack", row.get("code"))
        assert text.startswith(verifier_corpus.SAFETY), row["name"]
        with pytest.raises(SyntaxError):
            compile(text.partition("\n")[0], row["name"], "exec")
    for case in verifier_corpus.read(group, {"mark": "mark"}):
        assert case.code.startswith(verifier_corpus.SAFETY), case.name


def test_no_program_holds_what_it_should_have_to_steal() -> None:
    for case in hostile_run.cases({"secret": "THE-SECRET"}):
        assert "THE-SECRET" not in case.code, case.name


def test_every_attack_is_judged_by_the_fast_tests() -> None:
    sampled = [name.split("/")[:2] for name in hostile_run.sample(_NAMES)]
    assert len(sampled) == len({*map(tuple, sampled)})
    assert {*map(tuple, sampled)} == {tuple(name.split("/")[:2]) for name in _NAMES}
    kinds = [name.split("/")[2] for name in hostile_run.sample(_NAMES) if name.count("/") == 2]
    assert all(kinds.count(kind) > 80 for kind in verifier_corpus.KINDS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("profile", "part"), [("native", ["--sample"]), ("native", []), ("lcb", [])]
)
def test_hostile_programs_judged_by_an_ordinary_user(profile: str, part: list[str]) -> None:
    """The corpus again, by a process without any privilege."""
    if os.geteuid() != 0:
        pytest.skip("not root: the tests above already ran as an ordinary user")
    python = _python_for_others()
    if python is None:
        pytest.skip("no Python that another user can run has what the verifier needs")
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are private to root
        home = Path(folder)
        os.chown(home, _UNUSED_UID, _UNUSED_UID)
        rows, output = _run_as_other(python, home, ["--profile", profile, *part])
    names = hostile_run.names_for(profile)
    assert {row["name"] for row in rows} >= set(hostile_run.sample(names) if part else names)
    assert not [row["name"] for row in rows if row["wrong"]], output


def _run_as_other(python: str, home: Path, options: list[str]) -> tuple[list[dict[str, Any]], str]:
    """The outcomes of a run by an unused user, and what it printed."""
    target = home / "report.jsonl"
    ran = subprocess.run(
        [python, hostile_run.__file__, *options, "--report", str(target)],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": _search_path()},
        cwd=home,
        user=_UNUSED_UID,
        group=_UNUSED_UID,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    assert target.exists(), ran.stderr[-2000:]
    return [json.loads(line) for line in target.read_text().splitlines()], ran.stdout


def _search_path() -> str:
    """Where this process finds mars2 and what it needs."""
    folders = [path for path in sys.path if path and "site-packages" in path]
    return os.pathsep.join([_SOURCE, *folders])


def _python_for_others() -> str | None:
    """A Python that an unused user can run, with all that the verifier imports."""
    for python in (sys.executable, shutil.which("python3", path="/usr/bin:/usr/local/bin")):
        if python is None:
            continue
        try:
            ran = subprocess.run(
                [python, "-c", "import mars2.verifier"],
                env={"PATH": os.environ["PATH"], "PYTHONPATH": _search_path(), "HOME": "/"},
                cwd="/",
                user=_UNUSED_UID,
                group=_UNUSED_UID,
                extra_groups=[],
                capture_output=True,
                check=False,
            )
        except OSError:
            continue
        if ran.returncode == 0:
            return python
    return None
