"""The optional outer wall: every worker inside bubblewrap.

For machines whose administrator allows `bwrap` (often set-uid) but no user namespaces of our own:
then its namespaces and read-only view of the files are what walls there are, with the system call
filter and Landlock inside. Where namespaces are allowed, ours stand inside it as well.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from mars2.errors import ConfigError

_OPTIONS = (
    *("--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/", "/"),
    *("--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--tmpfs", "/dev/shm"),
)


def command() -> list[str]:
    """What runs its arguments as a command inside bubblewrap. Raises ConfigError without it."""
    found = shutil.which("bwrap")
    if found is None:
        raise ConfigError(
            "verifier.backend is 'bwrap', but no program bwrap is on the PATH: install bubblewrap, "
            "or set verifier.backend to local"
        )
    needed = {sys.prefix, sys.base_prefix, str(Path(__file__).resolve().parent)}
    hidden = sorted(path for path in needed if path.startswith(("/tmp/", "/dev/shm/")))
    shown = [word for path in hidden for word in ("--ro-bind", path, path)]
    return [found, *_OPTIONS, *shown, "--"]
