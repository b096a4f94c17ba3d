"""What a search believed at each moment: its journal played back through its own strategy.

The journal holds no posteriors. It need not: a strategy is a function of what it was asked and
told, so the same code over the same events has the same arms. No draw is repeated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from mars2.config import SearchConfig
from mars2.errors import Mars2Error
from mars2.search import make_strategy
from mars2.search.base import ROOT, Strategy
from mars2.search.codec import expansion_from_json

Numbers = list[float | None]  # null: infinite (UCB1's score of an agent that was never asked)
Changes = dict[str, Numbers]
"""`NODE:NAME` (ROOT is 0) or, of agents for the whole tree, `@AGENT` → numbers, see
`Strategy.beliefs`."""


class Beliefs:
    """The strategy of one tree, event by event.

    Args:
        ordered: outcomes were told in waves (training, evaluation), not as they came.

    Attributes:
        strategy: None where there is nothing to show, or after an event that does not fit.
        why_not: the reason, for people.
        prior: by name, what holds until a change says otherwise.
    """

    def __init__(self, search: SearchConfig | None, agents: list[str], ordered: bool) -> None:
        self.strategy: Strategy | None = None
        self.why_not: str | None = None
        self._ordered = ordered
        self._per_node = search is not None and search.agent_choice == "node"
        self._parent: dict[int, int] = {}
        self._ended: dict[int, float | None] = {}  # of the wave under way: reward, None: failed
        self._last: dict[str, Numbers] = {}
        self.prior: Changes = {}
        if search is None:
            self.why_not = "the settings of the search are not known"
            return
        try:
            self.strategy = make_strategy(search, agents, seed=0)
        except Mars2Error as error:
            self.why_not = str(error)
            return
        self.prior = {k: _numbers(v) for k, v in self.strategy.beliefs(ROOT).items()}
        if not self.prior:
            self.why_not = f"the strategy {search.strategy!r} does not learn where to expand"
            self.strategy = None

    def before(self, event: dict[str, Any]) -> Changes:
        """What has changed since it was last looked at, of the nodes that an ask went through.

        Discounts by depth change with nodes elsewhere in the tree.
        """
        if self.strategy is None or event["event"] != "ask":
            return {}
        return self._changes(self._path(event["parent_id"] or ROOT))

    def after(self, event: dict[str, Any]) -> Changes:
        """Take the event over; what it has changed."""
        if self.strategy is None:
            return {}
        try:
            return self._changes(self._take(event))
        except (Mars2Error, KeyError, TypeError, ValueError) as error:
            self.strategy = None
            self.why_not = f"from here on the journal does not fit its settings: {error}"
            return {}

    def _take(self, event: dict[str, Any]) -> set[int]:
        """Nodes whose beliefs may have changed."""
        strategy, kind = self.strategy, event["event"]
        assert strategy is not None
        if kind == "join":
            strategy.join(event["agent"])
            return {ROOT}
        if kind == "leave":
            strategy.leave(event["agent"])
            return {ROOT}
        node = event["node_id"]
        if kind == "ask":
            strategy.restore(expansion_from_json(event))
            self._parent[node] = event["parent_id"] or ROOT
            return self._path(node)
        if kind == "cancel":
            strategy.cancel(node)
            return self._path(node)
        reward = event["reward"] if kind == "tell" else None
        strategy.check(node, reward)
        self._ended[node] = reward
        if self._ordered and len(self._ended) < strategy.in_flight:
            return set()
        changed: set[int] = set()
        for ended, reward in sorted(self._ended.items()):
            if reward is None:
                strategy.fail(ended)
            else:
                strategy.tell(ended, reward)
            changed |= self._path(ended)
        self._ended.clear()
        return changed

    def _path(self, node: int) -> set[int]:
        path = {node}
        while node != ROOT:
            node = self._parent[node]
            path.add(node)
        return path

    def _changes(self, nodes: set[int]) -> Changes:
        return {k: v for node in sorted(nodes) for k, v in self._changed_at(node)}

    def _changed_at(self, node: int) -> Iterator[tuple[str, Numbers]]:
        assert self.strategy is not None
        for name, numbers in self.strategy.beliefs(node).items():
            key = name if name[0] == "@" and not self._per_node else f"{node}:{name}"
            now = _numbers(numbers)
            if self._last.get(key, self.prior.get(name)) != now:
                self._last[key] = now
                yield key, now


def _numbers(values: tuple[float, ...]) -> Numbers:
    return [round(x, 6) if math.isfinite(x) else None for x in values]
