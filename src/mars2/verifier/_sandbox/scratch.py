"""The private directory in which a program runs, and getting it clean again.

With a mount namespace /tmp and /dev/shm are small file systems of this server alone. Host
directories directly under /tmp appear in it, empty and writable, so that a program which
expects them finds them. A program that leaves anything behind costs a fresh mount, whatever
it left; without the namespace the tree is deleted.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import tempfile

from . import isolation, linux

_SIZE = "size=64m,nr_inodes=16k,mode=1777"
PROGRAM = "program.py"


class Scratch:
    """One server's scratch space; `folder` is the working directory of programs."""

    def __init__(self, level: isolation.Level, keep: list[str], uid: int | None) -> None:
        self._uid = uid
        self._covers: list[tuple[str, list[tuple[str, int]], list[tuple[str, int]]]] = []
        self._private = level.has("mount") and level.attempt("private tmp", self._cover_all, keep)
        self._new_folder()

    def _cover_all(self, keep: list[str]) -> None:
        for folder in ("/tmp", "/dev/shm"):
            if not os.path.isdir(folder):
                if folder == "/tmp":
                    raise OSError(2, "/tmp is missing")
                continue
            inside = [p for p in keep if isolation._inside(p, folder)]
            mirrored = []
            for entry in sorted(os.scandir(folder), key=lambda e: e.name)[:256]:
                if entry.is_dir(follow_symlinks=False) and folder == "/tmp":
                    on_the_way = any(isolation._inside(p, entry.path) for p in inside)
                    if not on_the_way:
                        mirrored.append((entry.path, 0o777))
            self._covers.append((folder, [(p, isolation._open_path(p)) for p in inside], mirrored))
        for cover in self._covers:
            self._mount(*cover)

    @staticmethod
    def _mount(folder: str, keep: list[tuple[str, int]], mirrored: list[tuple[str, int]]) -> None:
        isolation.cover(folder, keep, _SIZE)
        for path, mode in mirrored:
            os.mkdir(path)
            os.chmod(path, mode)

    def _new_folder(self) -> None:
        base = "/tmp" if self._private else tempfile.gettempdir()
        # Random besides: without namespaces several servers share one parent directory.
        self.folder = os.path.join(base, f"mars2-{os.getpid()}-{secrets.token_hex(6)}")
        os.mkdir(self.folder, 0o700)
        if self._uid is not None:
            os.chown(self.folder, self._uid, self._uid)
        os.environ.update(HOME=self.folder, PWD=self.folder)  # inherited by programs
        self._clean = self._fingerprint()

    def put_program(self, source: bytes) -> str:
        """Write the program's file; returns its path."""
        path = os.path.join(self.folder, PROGRAM)
        with open(path, "wb") as file:
            file.write(source)
        return path

    def clean(self) -> None:
        """Remove everything that a program left."""
        try:
            os.unlink(os.path.join(self.folder, PROGRAM))
        except OSError:
            pass
        try:
            if not os.listdir(self.folder) and self._fingerprint() == self._clean:
                return
        except OSError:
            pass
        if self._private:
            for cover in self._covers:
                linux.detach(cover[0])
                self._mount(*cover)
        else:
            remove_tree(self.folder)
        self._new_folder()

    def close(self) -> None:
        """Remove the directory itself."""
        if not self._private:
            remove_tree(self.folder)

    def _fingerprint(self) -> tuple[int, ...]:
        """Changes when a file or directory appears, goes or changes outside `folder`."""
        marks: list[int] = []
        for folder, _, mirrored in self._covers:
            usage = os.statvfs(folder)
            marks += [usage.f_ffree, usage.f_bfree, os.stat(folder).st_ctime_ns]
            marks += [os.stat(path).st_ctime_ns for path, _ in mirrored]
        info = os.stat(self.folder)
        return (*marks, stat.S_IMODE(info.st_mode), info.st_uid)


def remove_tree(folder: str) -> None:
    """Delete a tree, also one whose directories the program made unwritable."""

    def open_up(_function: object, path: str, _error: object) -> None:
        try:
            os.chmod(os.path.dirname(path), 0o700)
            os.chmod(path, 0o700)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.unlink(path)
        except OSError:
            pass

    shutil.rmtree(folder, onerror=open_up)
