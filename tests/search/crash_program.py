"""A search that tests kill: `crash_program.py JOURNAL ordered|free [BYTES]`.

Prints its result as JSON. With BYTES it kills itself (-9) in the middle of the write that takes
the journal beyond that size.
"""

import asyncio
import json
import os
import signal
import sys

from search_helpers import FakeExpand

from mars2.config import SearchConfig
from mars2.errors import GenerationError
from mars2.search import Journal, TreeJob, derive, make_strategy, run_forest
from mars2.search.codec import node_to_json


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


async def main(path: str, ordered: bool, size: int | None) -> None:
    def job(tree_id: str) -> TreeJob:
        inner = FakeExpand(
            tree_id,
            outcome=lambda e: GenerationError("lost") if e.node_id % 7 == 3 else None,
        )

        async def expand(e, parent):
            await asyncio.sleep(derive(tree_id, e.node_id) % 5 / 1000)
            return await inner(e, parent)

        strategy = make_strategy(SearchConfig(), ["ann", "bob"], derive(1, tree_id))
        return TreeJob(tree_id, strategy, expand)

    with Journal.open(path, {"config_hash": "x"}) as journal:
        if size is not None:
            journal._file = DyingFile(journal._file, size)
        results = await run_forest(
            [job(f"t{i}") for i in range(4)],
            budget=30,
            in_flight=4,
            journal=journal,
            limiter=asyncio.Semaphore(6),
            ordered=ordered,
        )
    found = [
        [[node_to_json(n) for n in r.nodes], [f.expansion.node_id for f in r.failed]]
        for r in results
    ]
    print(json.dumps(found))


if __name__ == "__main__":
    limit = int(sys.argv[3]) if len(sys.argv) > 3 else None
    asyncio.run(main(sys.argv[1], sys.argv[2] == "ordered", limit))
