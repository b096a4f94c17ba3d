"""Which files of this machine Python programs need: for the private root and for Landlock.

The standard library, the shared libraries that it loads, time zones and locales, and those
packages that were asked for; nothing else of the machine. Where packages are installed is never
shown as a whole: this project itself, with the tests of its built-in problems, may be among them.
"""

from __future__ import annotations

import glob
import os
import sys
from dataclasses import dataclass, field

SITE_NAMES = ("site-packages", "dist-packages")
DEVICES = ("null", "zero", "full", "random", "urandom")
_DATA = ("/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo", "/usr/lib/locale")
_MANY_FILES = 200


@dataclass
class Needs:
    """`shown`: files and folders; `packages`: folder → names in it; `hidden`: folders inside
    shown ones of which only `packages` may be seen. All exist; names may contain links."""

    shown: list[str] = field(default_factory=list)
    packages: dict[str, list[str]] = field(default_factory=dict)
    hidden: list[str] = field(default_factory=list)


def python_needs(packages: dict[str, list[str]]) -> Needs:
    """Of this interpreter and those packages (site directory → its top-level names)."""
    library = os.path.dirname(os.path.realpath(os.__file__))
    standard = [path for path in _standard(library) if os.path.exists(path)]
    found = {library, *map(os.path.realpath, standard), *standard, *_libraries(library)}
    found |= {path for path in _DATA if os.path.exists(path)}
    needs = Needs(outermost(found))
    for folder, names in packages.items():
        present = [name for name in names if os.path.lexists(os.path.join(folder, name))]
        if os.path.isdir(folder):
            needs.packages[folder] = present
    hidden: set[str] = set()
    for folder in (library, *needs.shown):
        for name in SITE_NAMES:
            hidden.update(glob.glob(os.path.join(glob.escape(folder), name)))
            hidden.update(glob.glob(os.path.join(glob.escape(folder), "python3*", name)))
    hidden |= {path for path in (*sys.path, *packages) if _is_site(path) and os.path.isdir(path)}
    real = {os.path.realpath(path) for path in hidden}
    needs.hidden = sorted(path for path in real if any(inside(path, s) for s in needs.shown))
    return needs


def _standard(library: str) -> list[str]:
    """Entries of sys.path that are the standard library."""
    entries = [path for path in sys.path if path and not _is_site(path)]
    return [p for p in entries if inside(os.path.realpath(p), library) or p.endswith(".zip")]


def _is_site(path: str) -> bool:
    return os.path.basename(path.rstrip("/")) in SITE_NAMES


def inside(path: str, folder: str) -> bool:
    """True if `path` is `folder` or below it, by name."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def outermost(paths: set[str]) -> list[str]:
    """Without those inside another one, sorted."""
    ordered = sorted(paths)
    return [p for p in ordered if not any(p != q and inside(p, q) for q in ordered)]


def _libraries(standard: str) -> set[str]:
    """Folders of shared libraries: those in use, and where the system keeps its own.

    A folder that holds the standard library too (`/usr/local/lib`) is taken file by file, as
    long as they are few.
    """
    folders: set[str] = set()
    with open("/proc/self/maps") as file:
        for line in file:
            path = line.rstrip("\n").partition("/")[2]
            if ".so" in path and not inside("/" + path, standard):
                folders.add(os.path.dirname("/" + path))
    folders = {f for f in folders if not any(part in f.split("/") for part in SITE_NAMES)}
    triplet = getattr(sys.implementation, "_multiarch", "")
    for folder in (f"/lib/{triplet}", f"/usr/lib/{triplet}", "/lib64", "/usr/lib64"):
        if (triplet or folder.endswith("64")) and os.path.isdir(folder):
            folders.add(folder)
    found: set[str] = set()
    for folder in folders:
        if inside(standard, os.path.realpath(folder)):
            files = glob.glob(os.path.join(glob.escape(folder), "*.so*"))
            if len(files) <= _MANY_FILES:
                found |= set(files)
                continue
        found.add(folder)
    return found


def clean_imports(packages: dict[str, list[str]]) -> None:
    """Let `import` look in the standard library and the shown packages only.

    Also takes away what packages hooked into `import` at start (editable installations).
    """
    library = os.path.dirname(os.path.realpath(os.__file__))
    sys.path[:] = [*_standard(library), *packages]
    sys.meta_path[:] = [finder for finder in sys.meta_path if _is_own_finder(finder)]
    sys.path_importer_cache.clear()


def _is_own_finder(finder: object) -> bool:
    module = getattr(finder, "__module__", "") or ""
    return isinstance(finder, type) and module.startswith(("_frozen_importlib", "importlib"))
