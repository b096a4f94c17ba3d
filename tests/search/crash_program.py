"""A search that tests kill: `crash_program.py JOURNAL ordered|free`; prints its result as JSON."""

import asyncio
import json
import sys

from search_helpers import FakeExpand

from mars2.config import SearchConfig
from mars2.errors import GenerationError
from mars2.search import Journal, TreeJob, derive, make_strategy, run_forest
from mars2.search.codec import node_to_json


async def main(path: str, ordered: bool) -> None:
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
    asyncio.run(main(sys.argv[1], sys.argv[2] == "ordered"))
