"""In the forked process: run a submission as LiveCodeBench's official checker runs it.

Its quirks are part of its verdicts, so they are kept one by one: the module of star imports, the
mocked standard input, the captured output, the functions set to None, the alarm (source:
livecodebench/evaluation/testing_util.py). Expected outputs are not here; what a test printed or
returned is told to the grader, which compares.

What the checker does to a failing test after comparing (it makes texts of the result and of the
arguments, which can fail) is worked out here where only this process can tell, see
`encode_exact`. Where the official process would die without results this one ends without an
answer.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` without its enumerations
import builtins
import gc
import importlib
import io
import json
import marshal
import os
import re
import resource
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from . import encode, encode_exact, official_code, official_stdin, program, samples

INT_DIGITS = 50_000
RECURSION_LIMIT = 50_000
_SHOWN_BYTES = 10_000
_STACK_BYTES = 8 << 20  # where the official process runs: Linux's default
_STARRED = (
    *("string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random"),
    *("statistics", "itertools", "functools", "operator", "io", "sys", "json"),
)
_IMPORTS = "".join(
    [
        *(f"from {name} import *\n" for name in (*_STARRED, "builtins", "typing")),
        *(f"import {name}\n" for name in _STARRED),
    ]
)
_FORBIDDEN = (
    *("kill", "system", "putenv", "remove", "removedirs", "rmdir", "fchdir", "setuid", "fork"),
    *("forkpty", "killpg", "rename", "renames", "truncate", "replace", "unlink", "fchmod"),
    *("fchown", "chmod", "chown", "chroot", "lchflags", "lchmod", "lchown", "getcwd", "chdir"),
)
# Modules from which a program can reach nothing that the guard forbids: no files, no processes.
_HARMLESS = frozenset(
    {"array", "bisect", "cmath", "collections", "copy", "dataclasses", "datetime", "decimal"}
    | {"enum", "fractions", "functools", "heapq", "itertools", "json", "math", "numbers"}
    | {"io", "operator", "random", "re", "statistics", "string", "sys", "time", "typing"}
)
_SUSPECT = frozenset(
    {"os", "_os", "posix", "shutil", "subprocess", "modules", "environ", "popen", "quit", "help"}
    | {"exec", "eval", "compile", "getattr", "globals", "vars", "attrgetter", "methodcaller"}
    | {"__import__", "__builtins__", "__dict__", "__globals__", "__getattribute__", "f_globals"}
    | {"__loader__", "__spec__", "f_builtins", "__subclasses__"}
)
_NAMES = re.compile(r"\w+")
_IMPORTED = re.compile(r"\bfrom[\s\\]+([\w.]+)[\s\\]+import\b|\bimport[\s\\]+([^\n;#]+)")
_TASK_MAKERS = ("thread", "Thread", "ctypes", "concurrent", "multiprocessing", "exec", "eval")
_NO_MODULES = ("ipdb", "joblib", "resource", "psutil", "tkinter")
_NAN_BYTES = b"\x00\x00\x00\x00\x00\x00\xf8\x7f"  # of json's NaN, as marshal writes it

Answer = Callable[[bytes, bytes], None]

_module: ModuleType | None = None


def prepare() -> None:
    """Build in the fork server what every program finds: its module and the standard input."""
    global _module
    # As in a child of multiprocessing: one is closed, the other is on /dev/null.
    sys.__stdin__ = _null_reader()  # type: ignore[misc]
    sys.__stdin__.close()
    sys.stdin = _null_reader()
    # The module is not in sys.modules, and a program adds its own names to these.
    _module = ModuleType("tmp_sol", "")
    exec(_IMPORTS, _module.__dict__)
    _module.__dict__.update(quit=None, help=None)
    for _ in range(samples.OFTEN):
        for source in samples.SOURCES:
            official_code.compile_stdin(source)
        encode_exact.exact([1, [2.5, "a"], None, (True, {"k": 1})], 1 << 10)


def _null_reader() -> io.TextIOWrapper:
    # Descriptor 0 of every program of this profile is /dev/null.
    raw = io.FileIO(0, "r", closefd=False)
    return io.TextIOWrapper(io.BufferedReader(raw), encoding="utf-8")


def run(
    kind: str,
    source: str,
    entry: str,
    tests: Iterator[bytes],
    answer: Answer,
    output_limit: int,
    plain_stdin: bool = False,
) -> None:
    """Answer each test ("stdin": its input's text; "functional": its arguments, marshalled).

    With `plain_stdin` as the package nvidia-livecodebench does it, see `official_stdin`.
    Returns after the last test or the first that raised. Ends the process where the official
    one would have died.
    """
    if _module is None:
        prepare()
    assert _module is not None
    runner = _Runner(_module, answer, output_limit, plain_stdin)
    try:
        first = next(tests, None)
        if first is None:
            return
        _guard(source)
        alarm.install()
        test = runner.load(kind, source, entry)
        if any(word in source for word in _TASK_MAKERS):
            runner.answer = _counting_tasks(answer)
        while first is not None and test is not None and test(first):
            first = next(tests, None)
    except BaseException:  # the official process has no handler for it either
        os._exit(1)


def _guard(source: str) -> None:
    """What `reliability_guard` and the checker's module do to the process."""
    sys.set_int_max_str_digits(INT_DIGITS)
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    if soft == resource.RLIM_INFINITY or soft > _STACK_BYTES:
        resource.setrlimit(resource.RLIMIT_STACK, (_STACK_BYTES, hard))
    if not _harmless(source):
        os.environ["OMP_NUM_THREADS"] = "1"
        importlib.import_module("subprocess").__dict__["Popen"] = None
        os.__dict__.update(dict.fromkeys(_FORBIDDEN))
        builtins.__dict__.update(quit=None, help=None)
        importlib.import_module("shutil").__dict__.update(rmtree=None, move=None, chown=None)
        sys.modules.update(dict.fromkeys(_NO_MODULES))  # type: ignore[arg-type]  # no import


def _harmless(source: str) -> bool:
    """True if the program cannot tell whether the forbidden functions are there.

    Setting them costs a forked process a third of a millisecond, in pages that it has to copy.
    """
    if not _SUSPECT.isdisjoint(_NAMES.findall(source)):
        return False
    for module, modules in _IMPORTED.findall(source):
        names = (
            [module]
            if module
            else [part.split(None, 1)[0] for part in modules.split(",") if part.strip()]
        )
        if any(name.partition(".")[0] not in _HARMLESS for name in names):
            return False
    return True


class TimeoutException(Exception):
    """Raised in a program that has used its time. A test whose error's repr names it is -3."""


class _Alarm:
    """SIGALRM from the supervisor, when a test has used its time."""

    armed = False

    def install(self) -> None:
        _signal.signal(_signal.SIGALRM, self._rang)

    def _rang(self, _number: int, _frame: Any) -> None:
        if self.armed:  # else it came too late: nothing of the program is running
            print("timeout occured: alarm went off")
            raise TimeoutException


alarm = _Alarm()


class _Runner:
    def __init__(self, module: ModuleType, answer: Answer, limit: int, plain: bool) -> None:
        self._module, self.answer, self._limit, self._plain = module, answer, limit, plain
        self._entry: Any = None

    def load(self, kind: str, source: str, entry: str) -> Callable[[bytes], bool] | None:
        """Compile and run the program's definitions. None after telling why it cannot be."""
        stage, stdin = "compile", kind == "stdin"
        try:
            compile_ = official_code.compile_stdin if stdin else official_code.compile_function
            code = compile_(source)
            gc.enable()
            stage = "load"
            owner: Any = ModuleType("tmp_sol", "") if code.bare else self._module
            if not code.bare:
                sys.setrecursionlimit(RECURSION_LIMIT)
            alarm.armed = True
            exec(code.code, owner.__dict__)
            if code.solution:
                owner = owner.Solution()
            assert owner is not None
            alarm.armed = False
            self._entry = _attribute(owner, "wrapped_function" if stdin else entry)
            if self._entry is None:
                raise NameError(f"the program does not define {entry!r}")
        except Exception as error:
            alarm.armed = False
            self._failed(error, stage)
            return None
        return self._stdin if stdin else self._functional

    # ------------------------------------------------------------------ programs

    def _stdin(self, data: bytes) -> bool:
        """One test; False after telling an exception."""
        text = data.decode("utf-8", "surrogatepass")
        captured, before = io.StringIO(), sys.stdout
        captured.close = lambda x: 1  # type: ignore[assignment,misc]  # as it is there
        sys.stdout = captured
        failed: Exception | None = None
        try:
            try:
                alarm.armed = True
                official_stdin.call(self._entry, text, self._plain)
            except Exception as error:
                failed = error
            finally:
                alarm.armed = False
            try:
                timeout = failed is not None and "timeoutexception" in repr(failed).lower()
            finally:
                printed = captured.getvalue()
                sys.stdout = before
        except Exception as error:  # the repr failed, or the program closed its output
            self._failed(error, "load")
            return False
        payload = printed.encode("utf-8", "surrogatepass")
        if len(payload) > self._limit:
            if failed is None:
                self.answer(b"O", b"")
                return True
            payload = payload[:_SHOWN_BYTES]  # only evidence: the exception decides
        if payload:
            self.answer(b"T", payload)
        if failed is None:
            self.answer(b"X", b"")
            return True
        self._failed(failed, "call", timeout)
        return False

    # ------------------------------------------------------------------ functions

    def _functional(self, data: bytes) -> bool:
        """One test; False after telling an exception."""
        arguments = marshal.loads(data)
        if _NAN_BYTES in data:
            arguments = _with_json_nan(arguments)
        try:
            try:
                alarm.armed = True
                result = self._entry(*arguments)
                alarm.armed = False
                if isinstance(result, tuple):
                    result = list(result)
            finally:
                alarm.armed = False
        except Exception as error:
            try:
                timeout = "timeoutexception" in repr(error).lower()
                str(arguments)
            except Exception as second:
                self._failed(second, "load")
            else:
                self._failed(error, "call", timeout)
            return False
        try:
            payload = encode_exact.exact(result, self._limit)
        except encode.TooLarge:
            self.answer(b"O", b"")
        else:
            self.answer(b"R", payload)
        return True

    def _failed(self, error: BaseException, stage: str, timeout: bool = False) -> None:
        if stage != "call":
            format(error)  # the checker puts it into a message: if that raises, the process dies
        fields = {**program.describe(error), "stage": stage, "timeout": timeout}
        self.answer(b"E", json.dumps(fields).encode())


def _counting_tasks(answer: Answer) -> Answer:
    """Tells "P" before an answer if the program has all the threads that it may have."""
    allowed = resource.getrlimit(resource.RLIMIT_NPROC)[0]

    def counted(kind: bytes, payload: bytes) -> None:
        if allowed != resource.RLIM_INFINITY and len(os.listdir("/proc/self/task")) > allowed - 3:
            answer(b"P", b"")
        answer(kind, payload)

    return counted


def _attribute(owner: Any, name: str) -> Any:
    try:
        assert hasattr(owner, name)
        return getattr(owner, name)
    except Exception:
        return None


def _with_json_nan(value: Any) -> Any:
    """The same value with every NaN being the one object that `json.loads` gives."""
    kind = type(value)
    if kind is float and value != value:
        return json.decoder.NaN  # type: ignore[attr-defined]
    if kind is list:
        return [_with_json_nan(item) for item in value]
    if kind is dict:
        return {key: _with_json_nan(item) for key, item in value.items()}
    return value
