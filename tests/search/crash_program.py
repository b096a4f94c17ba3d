"""A search that tests kill: `crash_program.py JOURNAL MODE SEED [BYTES]`.

MODE is "ordered", "free" (as completed) or "stop" (free, and a success ends a tree). What a
completion holds depends on its tree and node alone; SEED decides which comes first. Prints its
result as JSON. With BYTES it kills itself (-9) in the middle of the write that takes the journal
beyond that size.
"""

import asyncio
import json
import os
import signal
import sys

from search_helpers import FakeExpand

from mars2.config import SearchConfig
from mars2.errors import GenerationError
from mars2.search import Journal, Limiter, RunSettings, TreeJob, derive, make_strategy, run_forest
from mars2.search.codec import node_to_json

TREES = [f"t{i}" for i in range(4)]
NODES = 40
IN_FLIGHT = 4


class DyingFile:
    """A file that ends its process at a size: what fits is written, the rest never is."""

    def __init__(self, file, size: int) -> None:
        self.file = file
        self.size = size

    def write(self, data) -> int:
        room = self.size - os.fstat(self.file.fileno()).st_size
        if len(data) > room:
            self.file.write(data[: max(room, 0)])
            os.kill(os.getpid(), signal.SIGKILL)
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)


def fresh_strategy(tree_id: str):
    return make_strategy(SearchConfig(), ["ann", "bob"], derive(1, tree_id))


def completions(tree_id: str, steps=lambda e: 0) -> FakeExpand:
    """Every seventh request is lost; each takes `steps(expansion)` turns of the event loop."""
    lost = GenerationError("lost")
    return FakeExpand(tree_id, steps, lambda e: lost if e.node_id % 7 == 3 else None)


async def main(path: str, mode: str, seed: int, size: int | None) -> None:
    def job(tree_id: str) -> TreeJob:
        def steps(e):
            return derive(seed, tree_id, e.node_id) % 9

        return TreeJob(tree_id, fresh_strategy(tree_id), completions(tree_id, steps))

    jobs = [job(tree_id) for tree_id in TREES]
    settings = RunSettings(
        NODES, in_flight=IN_FLIGHT, ordered=mode == "ordered", stop_on_success=mode == "stop"
    )
    with Journal.open(path, {"config_hash": "x"}) as journal:
        if size is not None:
            journal._file = DyingFile(journal._file, size)
        results = await run_forest(jobs, settings, journal=journal, limiter=Limiter(6))
    found = {
        job.tree_id: {
            "nodes": [node_to_json(n) for n in result.nodes],
            "failed": [f.expansion.node_id for f in result.failed],
            "cancelled": [e.node_id for e in result.cancelled],
            "statistics": job.strategy.statistics(),
        }
        for job, result in zip(jobs, results, strict=True)
    }
    print(json.dumps(found))


if __name__ == "__main__":
    limit = int(sys.argv[4]) if len(sys.argv) > 4 else None
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), limit))
