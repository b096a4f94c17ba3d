"""The private directory in which a program runs, and getting it clean again.

In the private root /tmp and /dev/shm are one small file system of this server alone; a program
that left nothing is recognised by counts and times, without looking everywhere. What one did
leave is deleted. Elsewhere the program has a directory of its own under the machine's temporary
directory.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Sequence

PROGRAM = "program.py"
_PRIVATE = ("/tmp", "/dev/shm")


class Scratch:
    """One server's scratch space; `folder` is the working directory of programs."""

    def __init__(
        self,
        private: bool,
        uid: int | None,
        folders: Sequence[str] = (),
        fixed: Sequence[str] = (),
    ) -> None:
        """`private`: /tmp and /dev/shm are this server's, with `folders` that stay.

        `fixed`: mount points in them, which nobody can remove.
        """
        self._private, self._uid = private, uid
        self._folders, self._fixed = list(folders), list(fixed)
        # Programs of another user cannot change those folders, only fill them.
        self._fickle = self._folders if uid is None else []
        self._roots = _PRIVATE if private else ()
        base = "/tmp" if private else _machines()
        # Random besides: without namespaces several servers share one parent directory.
        self.folder = os.path.join(base, f"mars2-{os.getpid()}-{os.urandom(6).hex()}")
        self.path = os.path.join(self.folder, PROGRAM)
        os.environ.update(HOME=self.folder, PWD=self.folder)  # inherited by programs
        if not private:
            os.environ["TMPDIR"] = self.folder
        os.mkdir(self.folder, 0o700)
        self._give_away()
        self._free = self._counts()
        self._clean = self._marks()

    def _give_away(self) -> None:
        if self._uid is not None:
            os.chown(self.folder, self._uid, self._uid)

    def put_program(self, source: bytes) -> str:
        """Write the program's file; returns its path."""
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        fd = os.open(self.path, flags, 0o644)
        try:
            view = memoryview(source)
            while view:
                view = view[os.write(fd, view) :]
        finally:
            os.close(fd)
        return self.path

    def clean(self) -> None:
        """Remove everything that a program left. Raises OSError if something cannot be."""
        try:
            os.unlink(self.path)
        except OSError:
            pass
        try:
            if (
                self._counts() == self._free
                and self._marks() == self._clean
                and (self._private or not os.listdir(self.folder))
            ):
                return
        except OSError:
            pass
        self._wipe()

    def _wipe(self) -> None:
        keep = {self.folder, *self._folders, *self._fixed}
        for root in self._roots:
            os.chmod(root, 0o1777)
            empty(root, keep)
        for path in (self.folder, *self._folders):
            if path != self.folder and _untouched(path):
                continue
            if os.path.islink(path) or not os.path.isdir(path):
                if os.path.lexists(path):
                    os.unlink(path)
                os.mkdir(path)
            os.chmod(path, 0o700 if path == self.folder else 0o777)
            empty(path, keep)
        self._give_away()
        self._clean = self._marks()

    def close(self) -> None:
        """Remove the directory itself."""
        if not self._private:
            remove_tree(self.folder)

    def _counts(self) -> tuple[int, int]:
        """Files and bytes left in the private file system: the same again after every program."""
        if not self._private:
            return (0, 0)
        usage = os.statvfs("/tmp")
        return (usage.f_ffree, usage.f_bfree)

    def _marks(self) -> tuple[int, ...]:
        """Change when entries of the private roots, or the folder itself, are exchanged."""
        info = os.stat(self.folder, follow_symlinks=False)
        marks = [info.st_ino, info.st_mode, info.st_uid]
        if self._private:
            marks.append(info.st_size)  # on tmpfs: how many entries it has
        marks += [os.stat(root).st_ctime_ns for root in self._roots]
        marks += [os.stat(path).st_ctime_ns for path in self._fickle]
        return tuple(marks)


def _untouched(folder: str) -> bool:
    """An empty folder that all may write. In the private root, a tmpfs: its size counts entries."""
    try:
        info = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(info.st_mode) and info.st_mode & 0o777 == 0o777 and info.st_size == 0


def _machines() -> str:
    """The machine's temporary directory."""
    import tempfile  # only here: its libraries would make every fork dearer

    folder = tempfile.gettempdir()
    tempfile.tempdir = None  # programs find their own
    return folder


def empty(folder: str, keep: Collection[str] = ()) -> None:
    """Delete all in `folder` but the paths in `keep`. Raises OSError if something stays.

    However deep a tree is, paths stay short: folders found inside one are first moved up into
    `folder`. Permissions that a program took away are given back before.
    """
    waiting = [folder]
    moved = 0
    while waiting:
        here = waiting.pop()
        for name in os.listdir(here):
            path = os.path.join(here, name)
            if path in keep:
                continue
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                os.unlink(path)
                continue
            os.chmod(path, 0o700)
            try:
                os.rmdir(path)
                continue
            except OSError:
                pass
            target = path
            if here != folder:
                target = os.path.join(folder, f".mars2-{moved}-{os.urandom(4).hex()}")
                moved += 1
                os.rename(path, target)
            waiting.append(target)
        if here != folder:
            os.rmdir(here)


def remove_tree(folder: str) -> None:
    """Delete a tree, also one whose directories the program made unwritable; best effort."""
    try:
        os.chmod(folder, 0o700)
        empty(folder)
        os.rmdir(folder)
    except OSError:
        pass
