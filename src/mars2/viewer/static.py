"""The page of a run as it is now."""

from __future__ import annotations

from mars2.viewer.page import page
from mars2.viewer.recorder import Record, Recorder
from mars2.viewer.run import Run
from mars2.viewer.tail import Tail, Wanted
from mars2.viewer.texts import Limits


def static_page(run: Run, limits: Limits, wanted: Wanted | None) -> tuple[str, int, list[str]]:
    """The HTML, how many trees it holds, and what to tell whoever asked for it.

    Raises:
        ResumeError: the journal is damaged.
    """
    recorder = Recorder(run, limits)
    events: list[Record] = []
    for event in Tail(run.journal, wanted).read():
        events += recorder.event(event)
    notes = []
    if recorder.without_texts:
        notes.append(
            f"{recorder.without_texts} nodes are without their texts, to keep the file small: "
            "choose trees with --problem or --tree, or --full for everything"
        )
    run.notes += notes
    records = [*recorder.opening(), *_merged(events), *recorder.ending()]
    return page(records, title=f"{run.name} · trees"), recorder.trees, notes


def _merged(records: list[Record]) -> list[Record]:
    """All lines in one record, first: the others count on it, and it packs better."""
    lines = [line for record in records if record[0] == "lines" for line in record[1]]
    return [["lines", lines], *(r for r in records if r[0] != "lines")]
