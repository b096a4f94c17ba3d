"""How a run ends when it is told to, when it is killed, and when there is no room left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from background import command, wait_for

SETTINGS = """
seed = 5
[problems]
train = "lab:lists"
[search]
nodes = 3
[learner]
lr = 1e-3
min_samples = 2
[train]
steps = {steps}
trees_per_step = 2
[[agents]]
name = "lark"
spec = "micro:lark"
max_tokens = 24
"""


def descendants(pid: int) -> set[int]:
    """Ids of all processes below one."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        waiting += (new := parents.get(waiting.pop(), []))
        found.update(new)
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def start(*argv: object, **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command(*argv),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        **options,  # type: ignore[call-overload]
    )


def ignore_ctrl_c() -> None:
    """As a shell does for background jobs of a script."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.parametrize(
    ("sent", "before"),
    [
        (signal.SIGTERM, None),
        pytest.param(signal.SIGTERM, ignore_ctrl_c, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, None, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, None, marks=pytest.mark.slow),
        pytest.param(signal.SIGKILL, None, marks=pytest.mark.slow),
    ],
)
def test_a_run_that_is_told_to_end_leaves_nothing_running(
    tmp_path: Path, sent: signal.Signals, before: object
) -> None:
    end_a_run(tmp_path, sent, before)


@pytest.mark.slow
def test_a_run_on_ray_ends_as_cleanly(tmp_path: Path) -> None:
    """Ray has a handler of its own, which ends the driver where it stands."""
    pytest.importorskip("ray", reason="needs mars2[ray]")
    end_a_run(tmp_path, signal.SIGTERM, None, "--runtime", "ray")


def end_a_run(tmp_path: Path, sent: signal.Signals, before: object, *options: object) -> None:
    settings, run = tmp_path / "settings.toml", tmp_path / "run"
    settings.write_text(SETTINGS.format(steps=1000))
    process = start("train", "--config", settings, "--out", run, *options, preexec_fn=before)
    wait_for(run / "metrics.jsonl", 1, process)
    below = descendants(process.pid)
    assert below, "the verifier has processes of its own"
    process.send_signal(sent)
    _, err = process.communicate()
    while (options or sent is signal.SIGKILL) and any(map(alive, below)):
        time.sleep(0.02)  # they end by themselves; one that does not is the test runner's to end
    assert not any(map(alive, below))
    if sent is signal.SIGKILL:
        return
    assert process.returncode == 130, err.decode()
    assert err.decode().endswith("interrupted\n")
    assert "Traceback" not in err.decode()
    assert json.loads((run / "manifest.json").read_text())["status"] == "interrupted"
    ended = json.loads((run / "log.jsonl").read_text().splitlines()[-1])
    assert (ended["message"], ended["status"]) == ("run ended", "interrupted")


def test_no_room_is_said_without_a_traceback() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command("problems", "list", "--json"),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert "error: No space left on device: free some; --resume goes on\n" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode != 0


def test_the_handlers_are_given_back(mars2) -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert mars2("problems", "list").code == 0
    assert signal.getsignal(signal.SIGTERM) is before


def documented(language: str, containing: str) -> str:
    """A block of docs/operations.md."""
    page = (Path(__file__).parents[2] / "docs/operations.md").read_text(encoding="utf-8")
    blocks = [b.partition("```")[0] for b in page.split(f"```{language}\n")[1:]]
    (block,) = [b for b in blocks if containing in b]
    return block


def path_with_mars2(folder: Path, script: str) -> dict[str, str]:
    """An environment in which `mars2` is this shell script."""
    program = folder / "bin" / "mars2"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    path = f"{program.parent}:{os.environ['PATH']}"
    return os.environ | {"PATH": path, "OMP_NUM_THREADS": "1", "PAUSE": "0"}


@pytest.mark.slow
def test_the_loop_of_the_documentation_outlives_kills(tmp_path: Path) -> None:
    environment = path_with_mars2(tmp_path, f'exec {sys.executable} -m mars2.cli.main "$@"')
    keep, settings, run = tmp_path / "keep", tmp_path / "settings.toml", tmp_path / "run"
    keep.write_text(documented("sh", "#!/bin/sh"))
    settings.write_text(SETTINGS.format(steps=5))
    loop = subprocess.Popen(
        ["sh", keep, run, "--config", settings], env=environment, stderr=subprocess.PIPE
    )
    for step in (1, 3):
        wait_for(run / f"checkpoints/step-{step:05d}/COMPLETE", 1, loop)
        (trainer,) = [
            p for p in descendants(loop.pid) if b"train" in Path(f"/proc/{p}/cmdline").read_bytes()
        ]
        os.kill(trainer, signal.SIGKILL)
    _, err = loop.communicate()
    assert loop.returncode == 0, err.decode()
    assert err.count(b"resumed after step") == 2
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("code", "calls"), [(0, 1), (2, 1), (130, 1), (1, 1), (137, 1)])
def test_the_loop_ends_where_going_on_is_no_use(tmp_path: Path, code: int, calls: int) -> None:
    """137: killed, but no checkpoint was written since the start."""
    environment = path_with_mars2(tmp_path, f'echo "$@" >> {tmp_path}/calls; exit {code}')
    keep = tmp_path / "keep"
    keep.write_text(documented("sh", "#!/bin/sh"))
    done = subprocess.run(["sh", keep, tmp_path / "run", "--seed", "1"], env=environment)
    assert done.returncode == code
    assert len((tmp_path / "calls").read_text().splitlines()) == calls


def test_the_unit_of_the_documentation_starts_and_resumes(tmp_path: Path) -> None:
    environment = path_with_mars2(tmp_path, 'echo "$@"')
    unit = documented("ini", "ExecStart")
    (line,) = [s for s in unit.splitlines() if s.startswith("ExecStart=")]
    shell = line.partition("=")[2].replace("%i", "two").replace("$$", "$")

    def started() -> str:
        return subprocess.check_output(["sh", "-c", shell], cwd=tmp_path, env=environment).decode()

    assert started().split() == ["train", "--config", "two.toml", "--out", "runs/two"]
    (tmp_path / "runs/two").mkdir(parents=True)
    (tmp_path / "runs/two/config.json").touch()
    assert started().split() == ["train", "--config", "two.toml", "--out", "runs/two", "--resume"]
