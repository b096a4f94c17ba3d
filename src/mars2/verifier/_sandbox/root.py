"""The private root: a small file tree that shows programs what Python needs, and nothing else.

Built on an empty tmpfs by bind mounts, made read-only as a whole, and entered with pivot_root,
after which the machine's own tree is not mounted anywhere any more. Symbolic links on the way to
something shown (`/lib` to `usr/lib`) are made again, so that every name works as outside.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from . import linux
from .paths import DEVICES, Needs, inside

_BASES = ("/tmp", "/mnt", "/media", "/srv", "/var/tmp", "/opt", "/home", "/run")
_RESTRICTED = linux.ATTR_RDONLY | linux.ATTR_NOSUID | linux.ATTR_NODEV
_SCRATCH_OPTIONS = "size=64m,nr_inodes=16k,mode=755"
_MAX_MIRRORED = 64
_MAX_LINKS = 40


def enter(needs: Needs, uid: int, own_processes: bool) -> tuple[list[str], list[str]]:
    """Build it and make it the root of this mount namespace. Raises OSError, then as before.

    Args:
        needs: what is shown.
        uid: user that programs run as, for the list of users.
        own_processes: /proc of this process's own PID namespace; else the machine's is shown.

    Returns folders in the writable /tmp, and what cannot be removed from them. Folders that
    exist outside are there, empty: programs that expect them find them. So are those on the way
    to an interpreter that is installed somewhere under /tmp.
    """
    linux.mount("none", "/", None, linux.MS_REC | linux.MS_PRIVATE)
    taken = [os.path.realpath(path) for path in (*needs.shown, *needs.packages)]
    base = next(
        (b for b in _BASES if os.path.isdir(b) and not any(inside(path, b) for path in taken)), ""
    )
    if not base:
        raise OSError(errno.ENOENT, "no folder to build the root on")
    folders = {f"/tmp/{name}" for name in _folders("/tmp")}
    linux.mount("tmpfs", base, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "size=8m,mode=755")
    try:
        builder = _Builder(base, needs)
        builder.build(uid, own_processes)
        fixed = [path for path in builder.bound if inside(path, "/tmp")]
        for path in fixed:
            folders |= {str(parent) for parent in Path(path).parents if inside(str(parent), "/tmp")}
        folders -= {"/tmp", *fixed}
        for path in folders:
            os.makedirs(base + path, exist_ok=True)
            os.chmod(base + path, 0o777)
        os.chdir(base)
        linux.pivot_root_here()
    except OSError:
        os.chdir("/")
        linux.detach(base)
        raise
    os.chdir("/")
    return sorted(folders), fixed


def _folders(parent: str) -> list[str]:
    if not os.path.isdir(parent):
        return []
    with os.scandir(parent) as entries:
        names = [entry.name for entry in entries if _open_to_all(entry)]
    return sorted(names)[:_MAX_MIRRORED]


def _open_to_all(entry: os.DirEntry[str]) -> bool:
    """A folder that any user could enter: another user's private ones stay unknown."""
    try:
        info = entry.stat(follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISDIR(info.st_mode) and info.st_mode & 0o005 == 0o005


class _Builder:
    def __init__(self, base: str, needs: Needs) -> None:
        self._base, self._needs = base, needs
        self.bound: list[str] = []  # real paths shown so far
        self._covered: list[str] = []

    def build(self, uid: int, own_processes: bool) -> None:
        base = self._base
        for name in ("proc", "tmp", "dev", "dev/shm"):
            os.makedirs(f"{base}/{name}", exist_ok=True)
        self._scratch()
        for path in self._needs.shown:
            self._show(path)
        for folder in self._needs.hidden:
            if self._visible(folder):
                linux.mount("tmpfs", base + folder, "tmpfs", 0, "size=1m,mode=755")
                self._covered.append(folder)
        for folder, names in self._needs.packages.items():
            real = self._place(folder)
            os.makedirs(base + real, exist_ok=True)
            for name in names:
                self._show(f"{real}/{name}")
        self._small_files(uid)
        self._devices()
        linux.set_mount_attributes(base, _RESTRICTED)
        for name in ("tmp", "dev/shm"):
            linux.make_writable(f"{base}/{name}")
        for name in DEVICES:
            if os.path.exists(f"/dev/{name}"):
                linux.mount(f"/dev/{name}", f"{base}/dev/{name}", None, linux.MS_BIND)
        self._processes(own_processes)

    def _small_files(self, uid: int) -> None:
        """The users there are; an empty list would make getpass and pwd fail."""
        os.makedirs(f"{self._base}/etc", exist_ok=True)
        users = {uid: "program", 65534: "nobody", 0: "root"}
        lines = [f"{name}:x:{number}:{number}::/tmp:/bin/false\n" for number, name in users.items()]
        groups = [f"{name}:x:{number}:\n" for number, name in users.items()]
        for file, text in (("passwd", lines), ("group", groups)):
            with open(f"{self._base}/etc/{file}", "w", encoding="ascii") as out:
                out.writelines(text)

    def _devices(self) -> None:
        for name in DEVICES:
            if os.path.exists(f"/dev/{name}"):
                os.close(os.open(f"{self._base}/dev/{name}", os.O_CREAT | os.O_WRONLY, 0o666))
        links = {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}
        for name, end in links.items():
            os.symlink(f"/proc/self/fd{end}", f"{self._base}/dev/{name}")

    def _processes(self, own: bool) -> None:
        target = f"{self._base}/proc"
        if own:
            flags = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
            linux.mount("proc", target, "proc", flags)
        else:
            linux.mount("/proc", target, None, linux.MS_BIND | linux.MS_REC)

    def _scratch(self) -> None:
        """One small file system behind both /tmp and /dev/shm, so that one count covers both."""
        target = f"{self._base}/tmp"
        linux.mount("tmpfs", target, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, _SCRATCH_OPTIONS)
        for name in ("shm", "tmp"):
            os.mkdir(f"{target}/{name}")
            os.chmod(f"{target}/{name}", 0o1777)
        for name, place in (("shm", f"{self._base}/dev/shm"), ("tmp", target)):
            linux.mount(f"{target}/{name}", place, None, linux.MS_BIND)

    # ------------------------------------------------------------------ what is shown

    def _visible(self, path: str) -> bool:
        """Already inside something shown, and not inside a folder covered since."""
        if any(inside(path, cover) for cover in self._covered):
            return False
        return any(inside(path, bound) for bound in self.bound)

    def _show(self, path: str) -> None:
        real = self._place(path)
        if self._visible(real) or real in self.bound:
            return
        if not os.path.exists(real):
            return  # a dangling link: shown as such
        target = self._base + real
        if os.path.isdir(real):
            os.makedirs(target, exist_ok=True)
        else:
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
        linux.mount(real, target, None, linux.MS_BIND | linux.MS_REC)
        self.bound.append(real)

    def _place(self, path: str) -> str:
        """Make the folders and links on the way to `path`; returns it without links."""
        done, links = "", 0
        parts = path.strip("/").split("/")
        while parts:
            part = parts.pop(0)
            if part == "..":
                done = os.path.dirname(done).rstrip("/")
            if part in ("", ".", ".."):
                continue
            here = f"{done}/{part}"
            if os.path.islink(here):
                links += 1
                if links > _MAX_LINKS:
                    raise OSError(errno.ELOOP, f"too many links: {path}")
                to = os.readlink(here)
                if not os.path.lexists(self._base + here):
                    os.symlink(to, self._base + here)
                parts = to.split("/") + parts
                done = "" if to.startswith("/") else done
                continue
            done = here
            if parts and not os.path.lexists(self._base + done):
                os.mkdir(self._base + done, 0o755)
        return done or "/"
