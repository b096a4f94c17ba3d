"""Things around the verifier that a program must neither read, change nor reach.

All of them are within reach of an ordinary process of this machine, and their permissions are
as wide as they go, so that only the verifier's walls protect them: files in the temporary
directory, in the home and in shared memory, a System V segment, listening sockets, an
environment variable, a descriptor, the memory and the settings of this process, another process.
One secret is in all of them: an answer that contains it was stolen.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import secrets
import shutil
import signal
import site
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from process_tree import escaped

from mars2.types import AssertionTest, Problem, Verdict

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.shmat.restype = ctypes.c_void_p
_LIBC.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
_LIBC.shmdt.argtypes = [ctypes.c_void_p]
_IPC_CREAT, _IPC_RMID = 0o1000, 0
_PR_SET_CHILD_SUBREAPER, _PR_GET_CHILD_SUBREAPER = 36, 37
ENVIRONMENT = "MARS2_CANARY_SECRET"


class Canaries:
    """Set as a context manager; `values` are the placeholders of the corpus.

    `secret` is what no program may learn, `mark` is part of every name that attacks create,
    `probe` is the input of programs that look for the secret near it.
    """

    def __init__(self) -> None:
        self.mark = "evil" + secrets.token_hex(6)
        self.secret = "stolen-" + secrets.token_hex(16)
        self.values: dict[str, str] = {}
        self.victim = 0
        self.known: set[int] = set()  # children of this process that no program left, or were told
        self._files: list[Path] = []
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._set(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._stack.close()

    # ------------------------------------------------------------------ setting

    def _set(self, stack: contextlib.ExitStack) -> None:
        token = secrets.token_hex(6)
        self._folder = Path(tempfile.mkdtemp(prefix="mars2-canary-"))
        stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
        self._folder.chmod(0o777)
        home = Path.home()
        self._files = [self._folder / "precious", home / f".mars2-canary-{token}"]
        if os.path.isdir("/dev/shm"):
            self._files.append(Path(f"/dev/shm/mars2-canary-{token}"))
        for path in self._files:
            self._write(path)
            stack.callback(path.unlink, missing_ok=True)
        os.environ[ENVIRONMENT] = self.secret
        stack.callback(os.environ.pop, ENVIRONMENT, None)
        descriptor = os.open(self._files[0], os.O_RDWR)
        os.set_inheritable(descriptor, True)
        stack.callback(os.close, descriptor)
        victim = subprocess.Popen(["sleep", "infinity"], start_new_session=True)
        self.victim = victim.pid
        stack.callback(victim.wait)
        stack.callback(victim.kill)
        ports = self._listen(stack, token)
        key = self._segment(stack)
        self.known = set(escaped(os.getpid(), set()))  # the victim, and what earlier tests started
        stack.callback(_subreaper, _subreaper(True))
        self._settings = _settings()
        self._watched = [
            *("/", "/etc", "/run", "/var/tmp", "/dev/shm", "/usr/lib", "/usr/local/lib"),
            *(tempfile.gettempdir(), str(home), os.getcwd(), str(Path(__file__).parent)),
            *site.getsitepackages(),
            site.getusersitepackages(),
        ]
        self.values = {
            **ports,
            "mark": self.mark,
            "secret": self.secret,
            "probe": "probe-" + secrets.token_hex(8),
            "canary": str(self._files[0]),
            "canary_dir": str(self._folder),
            "home": str(home),
            "home_canary": str(self._files[1]),
            "shm_canary": str(self._files[-1]),
            "env": ENVIRONMENT,
            "fd": str(descriptor),
            "grader": str(os.getpid()),
            "victim": str(self.victim),
            "key": str(key),
            "tests_dir": str(Path(__file__).parent),
            "source_dir": str(Path(__file__).parents[2] / "src"),
        }

    def _write(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        path.write_text(self.secret)
        path.chmod(0o666)

    def _listen(self, stack: contextlib.ExitStack, token: str) -> dict[str, str]:
        path = str(self._folder / "socket")
        wanted: list[tuple[str, int, int, Any]] = [
            ("tcp", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            ("udp", socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            ("tcp6", socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)),
            ("unix", socket.AF_UNIX, socket.SOCK_STREAM, path),
            ("abstract", socket.AF_UNIX, socket.SOCK_STREAM, f"\0mars2-{token}"),
        ]
        names = {"tcp6": "9", "unix": path, "abstract": f"mars2-{token}"}
        for name, family, kind, address in wanted:
            try:
                sock = socket.socket(family, kind)
                stack.callback(sock.close)
                sock.bind(address)
            except OSError:
                if name != "tcp6":  # a machine without IPv6
                    raise
                continue
            if kind == socket.SOCK_STREAM:
                sock.listen(16)
            sock.setblocking(False)
            self._sockets.append(sock)
            if name in ("tcp", "udp", "tcp6"):
                names[name] = str(sock.getsockname()[1])
        os.chmod(path, 0o777)
        return names

    def _segment(self, stack: contextlib.ExitStack) -> int:
        """A System V shared memory segment that holds the secret; its key."""
        self._key = key = secrets.randbelow(1 << 29) + (1 << 29)
        segment = _LIBC.shmget(key, 4096, _IPC_CREAT | 0o666)
        if segment >= 0:
            stack.callback(_LIBC.shmctl, segment, _IPC_RMID, None)
            at = _LIBC.shmat(segment, None, 0)
            ctypes.memmove(at, self.secret.encode(), len(self.secret))
            _LIBC.shmdt(at)
        return key

    # ------------------------------------------------------------------ looking

    def touched(self) -> list[str]:
        """What was changed, reached or left behind since the last look; sets it again."""
        found = [f"{path} was changed" for path in self._files if not self._same(path)]
        if sorted(os.listdir(self._folder)) != ["precious", "socket"]:
            found.append(f"{self._folder} holds {sorted(os.listdir(self._folder))}")
        found += [f"a message came to {sock.getsockname()}" for sock in self._sockets if _got(sock)]
        for folder in self._watched:
            with contextlib.suppress(OSError):
                found += [f"{folder}/{n} was made" for n in os.listdir(folder) if self.mark in n]
        for table in ("shm", "sem", "msg"):
            with contextlib.suppress(OSError):
                lines = Path(f"/proc/sysvipc/{table}").read_text().splitlines()[1:]
                if self._key + 1 in [int(line.split()[0]) for line in lines]:
                    found.append(f"a System V {table} was made")
        for name in ("/proc/keys", "/proc/self/mountinfo", "/proc/sys/kernel/hostname"):
            with contextlib.suppress(OSError):
                if self.mark in Path(name).read_text():
                    found.append(f"{name} shows the mark")
        if _state(self.victim) in "TtZXx":
            found.append("another process was stopped or killed")
            with contextlib.suppress(OSError):
                os.kill(self.victim, signal.SIGCONT)
        if _settings() != self._settings:
            found.append("limits or priority of this process were changed")
            self._settings = _settings()
        return found

    def _same(self, path: Path) -> bool:
        try:
            info = path.lstat()
            same = path.read_text() == self.secret and info.st_nlink == 1
            same = same and info.st_mode == 0o100666
        except OSError:
            same = False
        if not same:
            self._write(path)
        return same

    def leaked(self, problem: Problem, verdict: Verdict) -> list[str]:
        """Where the verdict shows that the program knew the secret."""
        found = []
        tests = problem.tests()
        for number, result in enumerate(verdict.tests):
            texts = {"actual": result.actual}
            if not isinstance(tests[min(number, len(tests) - 1)], AssertionTest):
                # The traceback of a test program quotes the test program itself.
                texts |= {"exception": result.exception, "traceback": result.traceback}
            found += [name for name, text in texts.items() if self.secret in (text or "")]
        return found


def _got(sock: socket.socket) -> bool:
    """True if somebody connected or sent; takes all of it."""
    got = False
    while True:
        try:
            if sock.type == socket.SOCK_STREAM:
                sock.accept()[0].close()
            else:
                sock.recv(1 << 16)
        except OSError:
            return got
        got = True


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return "X"


def _settings() -> tuple[Any, ...]:
    """What another process could change of this one."""
    whats = (resource.RLIMIT_NOFILE, resource.RLIMIT_CPU, resource.RLIMIT_AS)
    limits = [resource.getrlimit(what) for what in whats]
    cores = os.sched_getaffinity(0)
    return (*limits, os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), cores)


def _subreaper(on: bool) -> bool:
    """Make orphans of the process tree below children of this process, where they are seen.

    Returns whether they were before.
    """
    old = ctypes.c_int()
    _LIBC.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(old), 0, 0, 0)
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0)
    return bool(old.value)
