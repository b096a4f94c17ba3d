"""The processes of sharded learners: how they start, get their work, and end together.

Rank 0 runs the training loop and says what is to be done next; every process then does the same.
The others are started here on this machine, or all of them by torchrun, on several machines. Who
waits for work waits for as long as trees take to grow; who waits in the middle of an update waits
for `PATIENCE`. A process that fails ends, which breaks its connections, and so all others notice.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from mars2.errors import LearnerLostError, UsageError

PATIENCE = timedelta(minutes=10)  # in the middle of an update
FOREVER = timedelta(days=365)  # between two
_START_S = 300.0  # for a process to come up
_END_S = 10.0  # for one to go by itself
_log = logging.getLogger(__name__)

Execute = Callable[[str, str, tuple[Any, ...], dict[str, Any]], Any]
"""(policy, method, shared arguments, arguments of rank 0 alone) → what rank 0 returns."""


def launched() -> tuple[int, int] | None:
    """(rank, number of ranks) where torchrun started this process, else None."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def check_launch(shards: int) -> None:
    """Raises UsageError if torchrun started another number of processes than there are shards."""
    found = launched()
    if found is not None and found[1] != shards:
        raise UsageError(
            f"learner.shards is {shards}, but torchrun started {found[1]} processes: set "
            f"learner.shards = {found[1]}, or start as many processes as there are shards"
        )


class Ranks:
    """The other processes as rank 0 sees them. Safe to use from several threads.

    Raises:
        UsageError: torchrun started another number of processes.
        LearnerLostError: a process did not come up.
    """

    def __init__(self, shards: int, execute: Execute) -> None:
        check_launch(shards)
        self.shards = shards
        self._execute = execute
        self._turn = threading.Lock()
        self._lost: str | None = None
        self._children: list[subprocess.Popen[bytes]] = []
        try:
            self._store = self._gather()
            self._control = _control_group()
        except BaseException:
            self._kill()
            raise

    def _gather(self) -> Any:
        if launched() is not None:
            return _join_launched()
        store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        for rank in range(1, self.shards):
            address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)}
            place = {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(self.shards),
                "OMP_NUM_THREADS": str(self._threads()),
            }
            command = "from mars2.training.sharded import serve; serve()"
            self._children.append(
                subprocess.Popen(
                    [sys.executable, "-c", command],
                    env={**os.environ, **address, **place},
                    stdin=subprocess.DEVNULL,
                    stdout=sys.stderr.fileno() if _has_number(sys.stderr) else None,
                )
            )
        self._await_children(store)
        _join(store, 0, self.shards)
        return store

    def _threads(self) -> int:
        """Of each process: they compute at the same time, on the same cores."""
        given = os.environ.get("OMP_NUM_THREADS")
        return int(given) if given else max(1, len(os.sched_getaffinity(0)) // self.shards)

    def _await_children(self, store: Any) -> None:
        keys = [f"ready/{rank}" for rank in range(1, self.shards)]
        deadline = time.monotonic() + _START_S
        while not store.check(keys):
            if any(child.poll() is not None for child in self._children):
                raise LearnerLostError(f"the sharded learner did not start: {self._ended()}")
            if time.monotonic() > deadline:
                raise LearnerLostError(
                    f"the sharded learner did not start: its processes did not come up within "
                    f"{_START_S:.0f} s"
                )
            time.sleep(0.02)

    def call(self, policy: str, method: str, *shared: Any, **own: Any) -> Any:
        """Have every process do the same; returns what it gives on rank 0.

        Args:
            own: for rank 0 alone.

        Raises:
            LearnerLostError: a process has ended, or did not answer; nothing can be called again.
        """
        with self._turn:
            if self._lost is not None:
                raise LearnerLostError(self._lost)
            try:
                with self._share_of_cores():
                    dist.broadcast_object_list([(policy, method, shared)], 0, self._control)
                    return self._execute(policy, method, shared, own)
            except Exception as error:
                self._lost = f"the sharded learner is lost in {method!r}: {self._why(error)}"
                self._kill()
                raise LearnerLostError(self._lost) from error
            except BaseException:
                self._lost = f"the sharded learner was interrupted in {method!r}"
                raise

    @contextlib.contextmanager
    def _share_of_cores(self) -> Iterator[None]:
        """Rank 0 has all cores while it writes and its share of them while all learn."""
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
        if launched() is not None or "OMP_NUM_THREADS" in os.environ:
            yield
            return
        before = torch.get_num_threads()
        torch.set_num_threads(self._threads())
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def _why(self, error: Exception) -> str:
        """The error of the process that failed first, as far as it can be known."""
        time.sleep(0.5)  # a process that failed says so before it ends
        for rank in range(1, self.shards):
            with contextlib.suppress(Exception):
                if self._store.check([f"error/{rank}"]):
                    return f"rank {rank}: {self._store.get(f'error/{rank}').decode()}"
        first = str(error).strip().split("\n", 1)[0]
        return self._ended() or f"rank 0: {type(error).__name__}: {first}"

    def _ended(self) -> str:
        codes = {rank: child.poll() for rank, child in enumerate(self._children, 1)}
        ended = [f"rank {rank} ended with {_code(c)}" for rank, c in codes.items() if c is not None]
        return "; ".join(ended)

    def close(self) -> None:
        """End the other processes; waits for an update under way."""
        try:
            with self._turn:
                if self._lost is None:
                    self._lost = "the sharded learner was closed"
                    with contextlib.suppress(Exception):
                        dist.broadcast_object_list([None], 0, self._control)
                    for child in self._children:
                        with contextlib.suppress(subprocess.TimeoutExpired):
                            child.wait(_END_S)
        finally:
            self._kill()
            with contextlib.suppress(Exception):
                dist.destroy_process_group()

    def _kill(self) -> None:
        for child in self._children:
            if child.poll() is None:
                child.kill()
                child.wait()


def work(execute: Execute) -> None:
    """Do what rank 0 says until it says that there is no more. Called in the other processes.

    Ends the process with exit code 1 if something fails here or rank 0 is gone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; rank 0 decides
    rank = int(os.environ["RANK"])
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    if launched() is not None:
        store = _join_launched()
    else:
        port = int(os.environ["MASTER_PORT"])
        store = dist.TCPStore(os.environ["MASTER_ADDR"], port, is_master=False)
        store.set(f"ready/{rank}", "")
        _join(store, rank, int(os.environ["WORLD_SIZE"]))
    control = _control_group()
    while True:
        told: list[Any] = [None]
        try:
            dist.broadcast_object_list(told, 0, control)
        except Exception as error:
            _log.error("rank %d: rank 0 is gone (%s)", rank, str(error).split("\n", 1)[0])
            os._exit(1)
        if told[0] is None:
            break
        policy, method, shared = told[0]
        try:
            execute(policy, method, shared, {})
        except Exception as error:
            traceback.print_exc()
            with contextlib.suppress(Exception):
                store.set(f"error/{rank}", f"{type(error).__name__}: {error}")
            sys.stderr.flush()
            os._exit(1)  # at once: the others wait for this process in a collective
    dist.destroy_process_group()


def _join(store: Any, rank: int, world: int) -> None:
    dist.init_process_group(_backend(), store=store, rank=rank, world_size=world, timeout=PATIENCE)


def _join_launched() -> Any:
    dist.init_process_group(_backend(), timeout=PATIENCE)
    return dist.distributed_c10d._get_default_store()


def _backend() -> str:
    return "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"


def _control_group() -> Any:
    return dist.new_group(backend="gloo", timeout=FOREVER)


def _code(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _has_number(stream: Any) -> bool:
    try:
        return stream.fileno() >= 0
    except (AttributeError, OSError, ValueError):
        return False
