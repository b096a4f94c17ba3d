"""Figures of a sweep, as SVG; with matplotlib, imported when drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

_PANELS = {
    "samples_per_gpu_hour": "samples learnt from, per GPU hour",
    "serving": "servers: share of time at work",
    "learning": "learners: share of time at work",
    "answers_at_once": "answers under way on a server",
}
_COLOURS = ("#9ecae1", "#4292c6", "#2171b5", "#08306b", "#00204d", "#001030")


def draw(rows: Sequence[dict[str, Any]], folder: Path) -> list[Path]:
    """scaling.svg: a panel a number over devices, a line an (in flight, mode).

    Raises:
        ImportError: matplotlib is missing (`pip install 'mars2[report]'`).
    """
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    with pyplot.rc_context({"svg.hashsalt": "mars2", "font.size": 8, "svg.fonttype": "none"}):
        figure, axes = pyplot.subplots(2, 2, figsize=(8, 5.4), constrained_layout=True)
        flights = sorted({r["in_flight"] for r in rows})
        for axis, (key, title) in zip(axes.flat, _PANELS.items(), strict=True):
            for mode, style in (("sync", "--"), ("async", "-")):
                for i, flight in enumerate(flights):
                    line = [r for r in rows if r["mode"] == mode and r["in_flight"] == flight]
                    axis.plot(
                        [r["gpus"] for r in line],
                        [r[key] for r in line],
                        style,
                        marker=".",
                        color=_COLOURS[i % len(_COLOURS)],
                        label=f"{mode}, {flight} in flight",
                    )
            axis.set_xscale("log", base=2)
            axis.set_ylim(bottom=0)
            axis.set_title(title)
            axis.set_xlabel("GPUs")
            axis.grid(alpha=0.25)
        axes.flat[0].legend(fontsize=6, ncols=2)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "scaling.svg"
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)
    return [path]
