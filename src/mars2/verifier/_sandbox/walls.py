"""All walls around programs, set up once per fork server and once per program.

The server and the program only say *when*; which walls there are, what this machine refuses and
how a program is locked in is decided here. What can stand in the server already does, because a
fork inherits it for nothing: the private root, the system call filter, and most of Landlock.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import json
import os
import resource
import signal
from dataclasses import dataclass, field

from . import isolation, landlock, linux, pages, paths, root, seccomp
from .scratch import Scratch


@dataclass(frozen=True)
class Settings:
    """What the grader asks of the walls: walls switched off (for tests), packages to expose."""

    without: frozenset[str] = frozenset()
    packages: dict[str, list[str]] = field(default_factory=dict)
    """Site directory → top-level names in it that programs may import."""
    place: int = 0
    """Of this server among those of one verifier: see `affinity`."""

    @classmethod
    def parse(cls, text: str) -> Settings:
        """From the JSON text on the launcher's command line."""
        fields = json.loads(text)
        return cls(frozenset(fields["without"]), fields["packages"], fields["place"])

    def dump(self) -> str:
        """As JSON text for the launcher's command line."""
        fields = {"without": sorted(self.without), "packages": self.packages, "place": self.place}
        return json.dumps(fields)


Prepared = tuple[isolation.Rlimit, ...]
"""What `confine` needs, worked out before the fork; `marshal` can write it."""


class Walls:
    """The walls of one fork server. Build it in the server's process, before any program.

    Afterwards this process sees only what its programs see: import before what they may not.
    """

    def __init__(self, level: isolation.Level, settings: Settings) -> None:
        self.level, self._settings = level, settings
        self.alone = level.has("pid")
        """This process is the first of a PID namespace: one signal reaches every program."""
        self.readable = True
        """/proc shows this server's processes, so that memory and sleep can be sampled."""
        if not self.alone:
            linux.set_subreaper()
        # No program may interrupt the server; `confine` gives it back to programs.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        needs = paths.python_needs(settings.packages)
        folders, fixed = self._enter_root(needs)
        private = level.has("private root")
        self.uid = isolation.choose_uid(level, set(settings.without), [os.__file__])
        self.scratch = Scratch(private, self.uid, folders, fixed)
        paths.clean_imports(settings.packages)
        linux.set_undumpable()
        linux.set_no_new_privileges()
        level.active += ["no new privileges", "capabilities dropped"]
        self._inherited = False  # the rules of Landlock stand in the server already
        self._ruleset = self._make_rules(needs)
        self._own_filter = False
        self._prepared: dict[tuple[isolation.Limits, int], Prepared] = {}  # the last one
        self._ended = 0  # processes that the control group lost
        self.pins = pages.Pins()
        self._filter()
        os.chdir("/")

    # ------------------------------------------------------------------ once, in the server

    def _enter_root(self, needs: paths.Needs) -> tuple[list[str], list[str]]:
        """Returns folders in the private /tmp, and what is fixed in them: see `root.enter`."""
        level = self.level
        if self._off("private root"):
            self._proc_without_root()
            return [], []
        if not level.has("mount"):
            level.missing["private root"] = "no mount namespace"
            self._proc_without_root()
            return [], []
        entered: list[tuple[list[str], list[str]]] = []

        def build() -> None:
            user = isolation.OTHER_USERS[0] if os.geteuid() == 0 else os.geteuid()
            entered.append(root.enter(needs, user, self.alone))

        if level.attempt("private root", build):
            level.active.append("private tmp")
            if self.alone:
                level.active.append("proc")
        else:
            self._proc_without_root()
        return entered[0] if entered else ([], [])

    def _proc_without_root(self) -> None:
        if not self.alone:
            return
        self.readable = False
        if not self.level.has("mount"):
            self.level.missing["proc"] = "no mount namespace"
            return

        def mount() -> None:
            linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
            flags = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
            linux.mount("proc", "/proc", "proc", flags)

        self.readable = self.level.attempt("proc", mount)

    def _off(self, wall: str) -> bool:
        if wall in self._settings.without:
            self.level.missing[wall] = "switched off"
            return True
        return False

    def _make_rules(self, needs: paths.Needs) -> landlock.Ruleset | None:
        """Enter Landlock here if that is enough; else the rules that each program enters."""
        if self._off("landlock"):
            return None
        read, write = landlock.READ, landlock.READ_WRITE
        rules = [(f"/dev/{name}", read | landlock.WRITE_FILE) for name in paths.DEVICES]
        # /dev/shm: named semaphores of multiprocessing, which nothing else can hold.
        rules.append(("/dev/shm", write))
        if self.level.has("private root"):
            # Without a /proc of its own, a program sees its own process only.
            shown = ["/"] if self.level.has("proc") else [f"/{n}" for n in os.listdir("/")]
            rules += [(path, read) for path in shown if path != "/proc"]
            rules.append(("/tmp", write))
            if self.level.group is not None:
                # For `enter_zygote`. Of others' files there programs are not the owner.
                rules.append(("/proc", read | landlock.WRITE_FILE))
        else:
            for path in needs.shown:
                rules += _around(path, needs.hidden)
            for folder, names in needs.packages.items():
                rules.append((folder, landlock.READ_DIR))
                rules += [(os.path.join(folder, name), read) for name in names]
            rules.append((self.scratch.folder, write))
        rules.append(("/proc" if self.level.has("proc") else "/proc/self", read))
        try:
            ruleset = landlock.Ruleset(rules)
        except OSError as error:
            self.level.missing["landlock"] = str(error)
            return None
        # Where programs have a /proc and a /tmp of their own, the server can do its work under
        # the same rules, and programs inherit them.
        private = self.level.has("private root") and self.level.has("proc")
        self._inherited = private and ruleset.moves
        if not self._inherited:
            self.level.active.append("landlock")
            return ruleset
        return ruleset if self.level.attempt("landlock", ruleset.enter) else None

    def _filter(self) -> None:
        if self._off("seccomp"):
            return

        def install() -> None:
            seccomp.for_server().install()

        if self.level.attempt("seccomp", install):
            guarded = self._ruleset is not None and self._ruleset.signals
            self._own_filter = self.uid is None and not guarded

    def enter_zygote(self) -> None:
        """In the process that programs are forked from, for it and all of them."""
        try:
            fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
            os.write(fd, b"1000")  # memory running out shall end them, never the server
            os.close(fd)
        except OSError:
            pass
        if self.level.has("seccomp"):
            seccomp.for_zygote().install()

    def out_of_memory(self) -> bool:
        """True if the kernel had to end a process of the control group since the last call."""
        if self.level.group is None:
            return False
        before, self._ended = self._ended, self.level.group.killed()
        return self._ended > before

    # ------------------------------------------------------------------ once a program

    def before_fork(self, limits: isolation.Limits) -> Prepared:
        """Worked out in the server, so that a program's process has little to do: see `confine`."""
        if self.level.group is not None:
            self.level.group.limit(limits.memory, limits.processes + 2)
        wanted = limits, self._process_base()
        if wanted not in self._prepared:
            self._prepared = {wanted: isolation.rlimits(*wanted)}
        return self._prepared[wanted]

    def confine(self, prepared: Prepared) -> None:
        """In a program's process, before its code: no way back. Raises OSError."""
        # Not by `signal`, whose enums cost a tenth of a millisecond in a fresh process.
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)
        for what, pair in prepared:
            resource.setrlimit(what, pair)
        if self.uid is not None:
            isolation.drop_to(self.uid)
        else:
            linux.drop_capabilities()
        if not self.alone:  # else the kernel ends all with the server
            linux.set_parent_death_signal(signal.SIGKILL)  # after setuid, which clears it
        if self._ruleset is not None:
            if not self._inherited:
                self._ruleset.enter()
            elif self.uid is None and self._ruleset.signals:
                self._ruleset.keep_signals_in()  # from processes of this user that serve it
        if self._own_filter:
            seccomp.for_program(os.getpid()).install()

    def confine_examiner(self, prepared: Prepared) -> None:
        """The same for a process that no program may reach: as another user, if there is one."""
        own = self.uid
        try:
            if own is not None and own != isolation.NOBODY:
                self.uid = isolation.NOBODY
            self.confine(prepared)
        finally:
            self.uid = own

    def _process_base(self) -> int:
        if self.uid is not None:
            return 0
        if self.level.has("user"):
            return 3  # the launcher, this server and its zygote count in this user namespace
        # Root's processes are not counted against a limit.
        return isolation.count_tasks(os.getuid()) if os.getuid() != 0 else 0


def _around(path: str, hidden: list[str]) -> list[tuple[str, int]]:
    """Rules to read `path` without what is hidden in it: its other entries, one by one."""
    real = os.path.realpath(path)
    if not any(paths.inside(folder, real) for folder in hidden):
        return [(path, landlock.READ)]
    if real in hidden:
        return []
    rules = [(path, landlock.READ_DIR)]
    for name in os.listdir(real):
        rules += _around(os.path.join(real, name), hidden)
    return rules
