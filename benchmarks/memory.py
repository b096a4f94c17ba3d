"""Memory of this process (Linux); on its own, so that it can be imported under any Python."""

from pathlib import Path


def status_bytes(key: str) -> int:
    """What the kernel says of this process under `key`: "VmRSS" is now, "VmHWM" the most ever."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {key}")


def peak_mb() -> float:
    """The most resident memory this process ever had, MiB."""
    return status_bytes("VmHWM") / (1 << 20)
