"""Curves in TensorBoard, wandb or trackio, while metrics.jsonl stays the record.

Each tracker is an optional package behind two methods. A missing package is an error before the
run starts; a tracker that fails later is reported once, closed and forgotten. What was sent is
written down in trackers.json of the run, so that a resumed run continues the same curves and
sends no step twice.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import re
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from mars2.errors import ConfigError
from mars2.training.rundir import write_json

PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "trackio": "trackio"}
"""Tracker → the package it needs, which is also the name of the extra."""

Kind = Literal["metrics", "eval"]


class Tracker(Protocol):
    """One open tracker.

    `rewinds`: it forgets what was logged after the step it was opened at, so those steps are
    logged again; another one keeps them, and the repetitions of a resumed run are left out.
    """

    rewinds: ClassVar[bool]

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Finite numbers of one step, by name. Names are like `agents/lark/reward`."""
        ...

    def close(self) -> None:
        """Write out what is left."""
        ...


def check_trackers(names: Sequence[str]) -> None:
    """Raises ConfigError for a tracker that is unknown or whose package is not installed."""
    for name in names:
        if name not in PACKAGES:
            raise ConfigError(f"train.trackers: no tracker {name!r}; there are {', '.join(OPEN)}")
        if importlib.util.find_spec(PACKAGES[name]) is None:
            raise ConfigError(
                f"train.trackers has {name!r}, but {PACKAGES[name]} is not installed: "
                f"pip install 'mars2[{name}]', or leave it out"
            )


class Trackers:
    """All trackers of a run. Never raises after it was made.

    Args:
        names: which ones.
        run: directory of the run.
        settings: of the run, for trackers that show them.
        step: steps already done, 0 for a new run.
        warn: is told once of each tracker that failed.

    Raises:
        ConfigError: a tracker cannot be opened.
    """

    def __init__(
        self,
        names: Sequence[str],
        run: Path,
        settings: Mapping[str, Any],
        step: int,
        warn: Callable[[str], None],
    ) -> None:
        check_trackers(names)
        self._path = run / "trackers.json"
        self._warn = warn
        self._state = self._read(run)
        self._open: dict[str, Tracker] = {}
        for name in names:
            try:
                self._open[name] = OPEN[name](run, self._state["id"], settings, step)
            except Exception as error:
                self.close()
                raise ConfigError(
                    f"train.trackers: {name} cannot be opened: {error}. Put that right and use "
                    "--resume, or start without it"
                ) from error
            sent = self._state["sent"].setdefault(name, {})
            if self._open[name].rewinds:
                sent |= {kind: min(last, step) for kind, last in sent.items()}
        if names:
            write_json(self._path, self._state)

    def log(self, kind: Kind, row: Mapping[str, Any], step: int) -> None:
        """Send a line of metrics or an evaluation to every tracker that has not had it."""
        values = numbers(row, "eval/" if kind == "eval" else "")
        for name, tracker in list(self._open.items()):
            sent = self._state["sent"][name]
            if step <= sent.get(kind, -1):
                continue
            if self._safely(name, lambda t=tracker: t.log(values, step)):  # type: ignore[misc]
                sent[kind] = step
        if self._open:
            write_json(self._path, self._state)

    def close(self) -> None:
        """Close all; more than once is allowed."""
        for name, tracker in list(self._open.items()):
            self._safely(name, tracker.close)
        self._open.clear()

    def _safely(self, name: str, act: Callable[[], None]) -> bool:
        """Training is worth more than its curves: whatever a tracker raises ends the tracker."""
        try:
            act()
        except Exception as error:
            self._open.pop(name, None)
            self._warn(
                f"{name} failed and gets no more metrics: {type(error).__name__}: {error}. "
                "metrics.jsonl has them all"
            )
            return False
        return True

    def _read(self, run: Path) -> dict[str, Any]:
        try:
            return json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {"id": f"{run.resolve().name}-{secrets.token_hex(4)}", "sent": {}}


def numbers(row: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """All finite numbers of nested objects, named by their path.

    Characters that a tracker may refuse in a name become "_"; lists are left out, and so is the
    step itself.
    """
    found: dict[str, float] = {}
    for key, value in row.items():
        name = prefix + re.sub(r"[^\w.-]+", "_", str(key)).strip("_")
        if isinstance(value, Mapping):
            found |= numbers(value, name + "/")
        elif isinstance(value, int | float) and name != "step" and math.isfinite(value):
            found[name] = float(value)
    return found


class _TensorBoard:
    """Event files in RUN/tensorboard."""

    rewinds: ClassVar[bool] = True

    def __init__(self, run: Path, name: str, settings: Mapping[str, Any], step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1 if step else 0)
        text = json.dumps(settings, indent=2)
        self._writer.add_text("settings", "    " + text.replace("\n", "\n    "), global_step=step)

    def log(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, global_step=step)
        self._writer.flush()  # a killed run keeps its curves

    def close(self) -> None:
        self._writer.close()


class _Wandb:
    """A run of weights and biases; `WANDB_MODE=offline` keeps it in RUN/wandb."""

    rewinds: ClassVar[bool] = False

    def __init__(self, run: Path, name: str, settings: Mapping[str, Any], step: int) -> None:
        import wandb

        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "mars2"),
            id=name,
            name=os.environ.get("WANDB_NAME", run.resolve().name),
            dir=str(run),
            config=dict(settings),
            resume="allow",
        )

    def log(self, values: Mapping[str, float], step: int) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


class _Trackio:
    """A run of trackio: local in TRACKIO_DIR, or in the Space that TRACKIO_SPACE_ID names."""

    rewinds: ClassVar[bool] = False

    def __init__(self, run: Path, name: str, settings: Mapping[str, Any], step: int) -> None:
        with redirect_stdout(sys.stderr):  # it prints; stdout belongs to data
            import trackio

            self._run = trackio.init(
                project=os.environ.get("TRACKIO_PROJECT", "mars2"),
                name=name,
                config=dict(settings),
                resume="allow",
                embed=False,
            )

    def log(self, values: Mapping[str, float], step: int) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        import trackio

        with redirect_stdout(sys.stderr):
            trackio.finish()  # which, unlike the run's own, is not done again at exit


OPEN: dict[str, Callable[[Path, str, Mapping[str, Any], int], Tracker]] = {
    "tensorboard": _TensorBoard,
    "wandb": _Wandb,
    "trackio": _Trackio,
}
