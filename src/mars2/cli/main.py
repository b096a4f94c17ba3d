"""The `mars2` command: exit 0 ok, 1 failed, 2 usage, 130 interrupted.

SIGTERM (systemd, Kubernetes, `kill`) and SIGHUP (a terminal that closes) interrupt like Ctrl-C.
"""

from __future__ import annotations

import errno
import importlib
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from mars2 import __version__
from mars2.errors import Mars2Error

COMMANDS = {
    "quickstart": "quickstart",
    "solve": "solve",
    "eval": "evaluate",
    "compare": "compare",
    "train": "train",
    "diversity": "diversity",
    "team": "team",
    "plan": "plan",
    "report": "report",
    "study": "study",
    "view": "view",
    "reward-model": "reward_model",
    "verify": "verify",
    "export": "export",
    "import": "import_samples",
    "problems": "problems",
    "lab": "lab",
    "doctor": "doctor",
}
"""Command name → module of this package that defines it as `command`."""


class LazyGroup(click.Group):
    """Imports a command's module only when that command runs, so that `--help` is instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"mars2.cli.{COMMANDS[name]}").command
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mars2")
def cli() -> None:
    """MARS²: several language models solve programming problems in one search tree, and learn.

    Start with `mars2 quickstart`: a real multi-agent train on a CPU, in minutes.
    """


def main(argv: list[str] | None = None) -> None:
    """Entry point: turns expected errors into one clear message and an exit code."""
    with interruptible():
        code = _run(argv)
    sys.exit(code)


def _run(argv: list[str] | None) -> int:
    try:
        result = cli.main(args=argv, prog_name="mars2", standalone_mode=False)
        code = result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        code = 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code = 130
    except Mars2Error as error:
        click.echo(f"error: {error}", err=True)
        code = error.exit_code
    except BrokenPipeError:
        sys.stderr.close()  # the reader (head, less) has gone; nothing is left to tell it
        code = 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        where = f" ({error.filename})" if error.filename else ""
        click.echo(f"error: {error.strerror}{where}: free some; --resume goes on", err=True)
        code = 1
    except BaseExceptionGroup as group:
        known = _first_known(group)
        if known is None:
            raise
        click.echo(f"error: {known}", err=True)
        code = known.exit_code
    return code


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and SIGHUP do what Ctrl-C does, unless whoever started this ignores or handles them.

    Raises, as Ctrl-C: KeyboardInterrupt, once tasks of an event loop have been cancelled.
    """
    ours: list[signal.Signals] = []
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _interrupt)
                ours.append(number)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    handler = signal.getsignal(signal.SIGINT)  # an event loop has its own, which cancels
    if callable(handler):
        handler(signal.SIGINT, frame)
    else:  # ignored, as for a background job of a script
        raise KeyboardInterrupt


def _first_known(group: BaseExceptionGroup) -> Mars2Error | None:
    """The first expected error inside a task group's failure, if all of them are expected."""
    expected, unexpected = group.split(Mars2Error)
    if unexpected is not None or expected is None:
        return None
    error: BaseException = expected
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, Mars2Error) else None


if __name__ == "__main__":
    main()
