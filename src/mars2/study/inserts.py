"""Pages of prose whose numbers, tables and figures are written by `mars2 study report --into`.

    <!-- mars2 study: NAME table=KEY rows="a,b" -->...<!-- end -->   a table of the report
    <!-- mars2 study: NAME figure=NAME -->...<!-- end -->            a figure, drawn beside the page
    <!-- mars2 study: NAME text=verdicts -->...<!-- end -->          or text=notes
    <!-- mars2 study: NAME -->                                       names the study of what follows
    <!-- =team-tree.ceiling -->...<!-- end -->                       a number (`mars2.study.quoted`)

Numbers are of the study named last before them. Markers within code are shown, not read. A page
may show several studies: each is written from its own summary.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from mars2.errors import UsageError
from mars2.report.panels import Figure
from mars2.report.tables import Table
from mars2.report.write import escaped, markdown_table
from mars2.study.figures import colours
from mars2.study.page import StudyReport, notes_list, picture, verdict_lists
from mars2.study.quoted import plain, quoted
from mars2.training.rundir import write_atomic

T = TypeVar("T")
IMAGES = "images"  # folder of the figures, beside the page
_CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]+`", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
_STUDY = re.compile(r"mars2 study: *([^\s=]+)(.*)", re.DOTALL)
_TEXTS: dict[str, Callable[[StudyReport], str]] = {"verdicts": verdict_lists, "notes": notes_list}


@dataclass(frozen=True, slots=True)
class Slot:
    """What stands in a page from `start` to `end`, between two markers: `what` of a study, a number
    or (`block`) a table, figure or text. `line` is for messages."""

    study: str
    what: str
    block: bool
    start: int
    end: int
    line: int


def slots(page: str) -> list[Slot]:
    """All of a page, in their order.

    Raises:
        UsageError: a marker is none, has no end, or does not say of which study.
    """
    masked = _CODE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), page)
    study = ""
    opened: tuple[int, str, str, bool, int] | None = None
    found = []
    for comment in _COMMENT.finditer(masked):
        said, line = comment[1].strip(), masked.count("\n", 0, comment.start()) + 1
        if said == "end":
            if opened is None:
                raise UsageError(f"line {line}: `<!-- end -->` ends nothing")
            start, of, what, block, at = opened
            found.append(Slot(of, what, block, start, comment.start(), at))
            opened = None
            continue
        if not said.startswith(("mars2 study", "=")):
            continue
        if opened is not None:
            raise UsageError(f"line {opened[4]}: no `<!-- end -->` before the next marker")
        if said.startswith("="):
            if not study:
                raise UsageError(
                    f"line {line}: {said}: of which study? Put `<!-- mars2 study: NAME -->` above"
                )
            opened = (comment.end(), study, said[1:].strip(), False, line)
            continue
        named = _STUDY.fullmatch(said)
        if named is None:
            raise UsageError(f"line {line}: {said!r} is not `mars2 study: NAME table=KEY`")
        study, what = named[1], named[2].strip()
        if what:
            opened = (comment.end(), study, what, True, line)
    if opened is not None:
        raise UsageError(f"line {opened[4]}: no `<!-- end -->` after {opened[2]!r}")
    return found


@dataclass(frozen=True, slots=True)
class Filled:
    """A page as it should be, and the figures it shows of the study."""

    text: str
    figures: list[Figure]


def filled(page: str, name: str, report: StudyReport) -> Filled:
    """The page with everything that it shows of the study `name` written anew.

    Raises:
        UsageError: the page shows nothing of it, or a name in a marker is unknown; tells the line,
            and what there is.
    """
    of_all = slots(page)
    mine = [slot for slot in of_all if slot.study == name]
    if not mine:
        others = ", ".join(dict.fromkeys(slot.study for slot in of_all))
        raise UsageError(
            f"the page has no marker of study {name!r}"
            + (f", only of {others}" if others else "")
            + f": put `<!-- mars2 study: {name} table=arms -->` and `<!-- end -->` where its table "
            "belongs"
        )
    parts, at = [], 0
    shown: dict[str, Figure] = {}
    for slot in mine:
        try:
            new = _block(report, name, slot.what, shown) if slot.block else _number(report, slot)
        except UsageError as error:
            raise UsageError(f"line {slot.line}: {error}") from None
        parts += [page[at : slot.start], new]
        at = slot.end
    return Filled("".join([*parts, page[at:]]), list(shown.values()))


def _number(report: StudyReport, slot: Slot) -> str:
    return escaped(quoted(report, slot.what))


def _block(report: StudyReport, name: str, what: str, shown: dict[str, Figure]) -> str:
    try:
        options = dict(word.split("=", 1) for word in shlex.split(what))
    except ValueError:
        raise UsageError(f"{what!r}: give table=KEY, figure=NAME or text=NAME") from None
    rows = options.pop("rows", None)
    if len(options) != 1 or (rows is not None and "table" not in options):
        raise UsageError(f"{what!r}: give one of table=KEY [rows=A,B], figure=NAME, text=NAME")
    kind, wanted = next(iter(options.items()))
    if kind == "table":
        table = _chosen("table", wanted, {t.key: t for t in report.tables})
        text = markdown_table(table if rows is None else _only(table, rows))
    elif kind == "figure":
        figure = _chosen("figure", wanted, {f.name: f for f in report.figures})
        shown[wanted] = replace(figure, name=f"{name}-{figure.name}")
        text = picture(shown[wanted], IMAGES)
    elif kind == "text":
        text = _chosen("text", wanted, _TEXTS)(report)
    else:
        raise UsageError(f"{kind!r} is neither table, figure nor text")
    return f"\n\n{text}\n\n"


def _chosen(kind: str, name: str, among: dict[str, T]) -> T:
    if name not in among:
        raise UsageError(f"there is no {kind} {name!r}; there are {', '.join(among)}")
    return among[name]


def _only(table: Table, rows: str) -> Table:
    """Those rows that begin with one of these names."""
    wanted = [plain(name) for name in rows.split(",")]
    there = list(dict.fromkeys(plain(row[0]) for row in table.rows))
    for name in wanted:
        if name not in there:
            raise UsageError(f"{table.key} has no row {name!r}; there are {', '.join(there)}")
    return replace(table, rows=[row for row in table.rows if plain(row[0]) in wanted])


def changes(path: Path, name: str, report: StudyReport, *, figures: bool = True) -> dict[Path, str]:
    """The files that are to be written, with what they are to hold: the page, and the light and
    dark SVG of each figure it shows (without `figures` none is drawn).

    Raises:
        UsageError: the page cannot be read, as of `filled`, or matplotlib is missing.
    """
    try:
        before = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    try:
        after = filled(before, name, report)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    found = {path: after.text}
    if figures:
        found |= _drawn(after.figures, report, path.parent / IMAGES)
    return {file: text for file, text in found.items() if _differs(file, text)}


def write_changes(found: dict[Path, str]) -> None:
    """Write them."""
    for file, text in found.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, text)


def _drawn(figures: Sequence[Figure], report: StudyReport, folder: Path) -> dict[Path, str]:
    if not figures:
        return {}
    from mars2.report.figures import draw_figures

    with TemporaryDirectory() as kept:
        for figure in figures:
            draw_figures([figure], colours(report.results, figure), Path(kept))
        drawn = sorted(Path(kept).glob("*.svg"))
        return {folder / file.name: file.read_text(encoding="utf-8") for file in drawn}


def _differs(file: Path, text: str) -> bool:
    try:
        return file.read_text(encoding="utf-8") != text
    except (OSError, UnicodeDecodeError):
        return True
