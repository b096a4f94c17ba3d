"""Figures drawn with matplotlib, the same bytes for the same input.

Each is written three times: `NAME.svg` and `NAME-dark.svg`, transparent, for light and dark pages,
and `NAME.png` on white. Nothing here touches pyplot or any global state.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mars2.errors import UsageError
from mars2.report.panels import Figure, Line, Panel
from mars2.report.text import shown

AXES = (2.45, 1.55)  # inches of one plot, to which its margins are added
LEFT, RIGHT, ABOVE, BELOW = 0.62, 0.13, 0.32, 0.42
LABEL = 60  # characters of a name in a figure
DOTS = 160  # an inch, of PNGs
SMALL_SPAN = 1e-9  # values closer than this are drawn as one flat line
AGAIN = (0, (2, 1))  # dashes of the lines whose colour is another's, too: names outnumber colours


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours of a kind of page. `cycle`, of agents or groups, differs to colour-blind eyes too."""

    ink: str
    quiet: str
    grid: str
    cycle: tuple[str, ...]


LIGHT = Theme(
    ink="#22272e",
    quiet="#5b6470",
    grid="#d9dde2",
    cycle=("#0072b2", "#d55e00", "#009e73", "#b3589a", "#b8860b", "#3aa0d8", "#6a4fb3", "#777777"),
)
DARK = Theme(
    ink="#e6e9ed",
    quiet="#a3acb8",
    grid="#3a424d",
    cycle=("#5ab4f0", "#f5925a", "#46cfa0", "#e59ccb", "#e3b94f", "#a5daf7", "#b6a1ec", "#b5b5b5"),
)


def require_matplotlib() -> None:
    """Raises UsageError, naming the extra, if matplotlib cannot be imported."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"figures need matplotlib: pip install 'mars2[report]', or use --no-figures ({error})"
        ) from None


def draw_figures(figures: Sequence[Figure], names: Sequence[str], folder: Path) -> list[Path]:
    """Write all figures into `folder`; the paths of the light SVG files.

    Args:
        names: agents, policies or groups, in the order of their colours.

    Raises:
        UsageError: matplotlib is missing.
    """
    require_matplotlib()
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for figure in figures:
        path = folder / f"{figure.name}.svg"
        light = _draw(figure, names, LIGHT)
        _save(light, path, transparent=True)
        _save(light, path.with_suffix(".png"), transparent=False)
        _save(_draw(figure, names, DARK), folder / f"{figure.name}-dark.svg", transparent=True)
        written.append(path)
    return written


def draw_panel(panel: Panel, names: Sequence[str], theme: Theme) -> Any:
    """One panel alone, without its title and unit, as a canvas of matplotlib.

    Arguments and errors as of `draw_figures`.
    """
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    left = LEFT - 0.18  # the unit stands elsewhere
    width, height = left + AXES[0] + RIGHT, 0.1 + AXES[1] + BELOW
    with matplotlib.rc_context(_settings(theme)):
        canvas = Canvas(figsize=(width, height))
        place = (left / width, BELOW / height, AXES[0] / width, AXES[1] / height)
        axes = canvas.add_axes(place)
        _panel(axes, panel, names, theme)
        axes.set_title("")
        axes.set_ylabel("")
    return canvas


def _save(drawn: Any, path: Path, *, transparent: bool) -> None:
    import matplotlib

    fixed: dict[str, None] = {"Software": None}
    if path.suffix == ".svg":
        fixed = {"Date": None, "Creator": None}
    with matplotlib.rc_context({"svg.hashsalt": "mars2", "svg.fonttype": "path"}):
        drawn.savefig(path, metadata=fixed, transparent=transparent, dpi=DOTS)


def _draw(figure: Figure, names: Sequence[str], theme: Theme) -> Any:
    import matplotlib
    from matplotlib.figure import Figure as Canvas

    columns = min(len(figure.panels), figure.columns)
    rows = math.ceil(len(figure.panels) / columns)
    entries = [n for n in names if any(x.who == n for p in figure.panels for x in p.lines)]
    cell = (LEFT + AXES[0] + RIGHT, ABOVE + AXES[1] + BELOW)
    width = columns * cell[0]
    abreast = max(
        1, int(width / (0.5 + 0.07 * max((len(shown(n, LABEL)) for n in entries), default=0)))
    )
    head = 0.24 + 0.2 * math.ceil(len(entries) / abreast)
    size = (width, rows * cell[1] + head)
    with matplotlib.rc_context(_settings(theme)):
        canvas = Canvas(figsize=size)
        at = 0.1 / size[0]
        canvas.text(
            at, 1 - 0.08 / size[1], figure.title, va="top", size=11, weight="bold", color=theme.ink
        )
        if entries:
            canvas.legend(
                handles=[
                    _handle(_colour(n, names, theme), AGAIN if again(n, names) else "solid")
                    for n in entries
                ],
                labels=[_literal(n) for n in entries],
                loc="upper left",
                bbox_to_anchor=(at / 2, 1 - 0.27 / size[1]),
                ncols=abreast,
                borderpad=0.2,
                handlelength=1.4,
                columnspacing=1.4,
            )
        grid = canvas.subplots(
            rows,
            columns,
            squeeze=False,
            gridspec_kw={
                "left": LEFT / size[0],
                "right": 1 - RIGHT / size[0],
                "top": 1 - (head + ABOVE) / size[1],
                "bottom": BELOW / size[1],
                "wspace": (LEFT + RIGHT) / AXES[0],
                "hspace": (ABOVE + BELOW) / AXES[1],
            },
        )
        places = [axes for row in grid for axes in row]
        for axes, panel in zip(places, figure.panels, strict=False):
            _panel(axes, panel, names, theme)
        for axes in places[len(figure.panels) :]:
            axes.set_axis_off()
    return canvas


def _settings(theme: Theme) -> dict[str, Any]:
    return {
        "font.family": "DejaVu Sans",
        "font.size": 8,
        "text.color": theme.ink,
        "axes.facecolor": "none",
        "axes.edgecolor": theme.quiet,
        "axes.labelcolor": theme.quiet,
        "axes.titlesize": 8.5,
        "axes.titlelocation": "left",
        "axes.titlecolor": theme.ink,
        "axes.linewidth": 0.7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": theme.grid,
        "grid.linewidth": 0.6,
        "xtick.color": theme.quiet,
        "ytick.color": theme.quiet,
        "xtick.labelsize": 7.5,
        "ytick.labelsize": 7.5,
        "legend.frameon": False,
        "legend.fontsize": 7.5,
        "axes.axisbelow": True,
    }


def _handle(colour: str, style: Any = "solid") -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, linewidth=1.8, linestyle=style)


def _literal(text: str) -> str:
    """As it is: matplotlib reads $ as mathematics and hides labels that begin with _."""
    text = shown(text, LABEL).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def _colour(who: str, names: Sequence[str], theme: Theme) -> str:
    if who not in names:
        return theme.ink
    return theme.cycle[list(names).index(who) % len(theme.cycle)]


def again(who: str, names: Sequence[str]) -> bool:
    """Whether an earlier name has the same colour."""
    return who in names and list(names).index(who) >= len(LIGHT.cycle)


def _panel(axes: Any, panel: Panel, names: Sequence[str], theme: Theme) -> None:
    from matplotlib.ticker import MaxNLocator

    for line in panel.lines:
        style = AGAIN if again(line.who, names) and not line.part else line.style
        _line(axes, line, _colour(line.who, names, theme), style)
    axes.set_title(_literal(panel.title))
    axes.set_xlabel(panel.x, labelpad=1)
    axes.set_ylabel(panel.unit)
    axes.xaxis.set_major_locator(
        MaxNLocator(nbins=5, steps=[1, 2, 5, 10], integer=panel.whole, min_n_ticks=1)
    )
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]))
    axes.margins(x=0.03)
    _limits(axes, panel)
    axes.yaxis.set_major_formatter(lambda value, _: _tick(value))
    parts = {x.part: x.style for x in panel.lines if x.part}
    if parts:
        axes.legend(
            handles=[_handle(theme.quiet, s) for s in parts.values()],
            labels=list(parts),
            loc="best",
            handlelength=2.2,
            fontsize=7,
            labelcolor=theme.quiet,
        )


def _tick(value: float) -> str:
    """As short as it is exact: 0.25, −2, 1.5e−4, 20k."""
    text = f"{value:.4g}" if abs(value) < 1e4 else f"{value / 1000:.6g}k"
    if 0 < abs(value) < 1e-3:
        digits, power = f"{value:.2e}".split("e")
        text = f"{float(digits):g}e{int(power)}"
    return text.replace("-", "−")


def _limits(axes: Any, panel: Panel) -> None:
    """Room for the data and for the floor and ceiling; a flat line stays in the middle."""
    seen = [v for x in panel.lines for c in (x.curve, x.raw) if c for v in c.values]
    seen += [v for x in panel.lines for v in (*(x.curve.low or ()), *(x.curve.high or ()))]
    low, high = min(seen), max(seen)
    low = low if panel.floor is None else min(low, panel.floor)
    high = high if panel.ceiling is None else max(high, panel.ceiling)
    if high - low < SMALL_SPAN + 1e-4 * max(abs(low), abs(high)):
        around = 0.1 * max(abs(low), abs(high)) or 1.0
        low, high = (low if panel.floor == low else low - around), high + around
    room = 0.05 * (high - low)
    axes.set_ylim(low if low == panel.floor else low - room, high + room)


def _line(axes: Any, line: Line, colour: str, style: Any) -> None:
    curve = line.curve
    if line.marks:
        errors = None
        if curve.low is not None and curve.high is not None:
            errors = [
                [max(0.0, v - x) for v, x in zip(curve.values, curve.low, strict=True)],
                [max(0.0, x - v) for v, x in zip(curve.values, curve.high, strict=True)],
            ]
        axes.errorbar(
            curve.steps,
            curve.values,
            yerr=errors,
            color=colour,
            linestyle=style,
            marker="o",
            markersize=3.5,
            linewidth=1.2,
            elinewidth=1.0,
            capsize=2.5,
        )
        return
    if curve.low is not None and curve.high is not None:
        alpha = 0.18 if line.who else 0.1  # ink is darker than any colour
        axes.fill_between(
            curve.steps, curve.low, curve.high, color=colour, alpha=alpha, linewidth=0
        )
    if line.raw is not None:
        axes.plot(line.raw.steps, line.raw.values, color=colour, linewidth=0.7, alpha=0.3)
    few = len(curve.steps) <= 12 and line.style == "solid"
    axes.plot(
        curve.steps,
        curve.values,
        color=colour,
        linestyle=style,
        linewidth=1.5,
        marker="o" if few or len(curve.steps) == 1 else None,
        markersize=2.6,
    )
