"""What an evaluation found, problem by problem, and the numbers that follow from it.

Everything here is pure: a results file can be read again and summed up without a model or a
sandbox. Independent first attempts and tree nodes stay apart, because pass@k holds for the first
alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from mars2.errors import UsageError
from mars2.evaluation.metrics import bootstrap_ci, difference_ci, mean, pass_at_k
from mars2.search.budget import Spent


@dataclass(frozen=True, slots=True)
class TreeOutcome:
    """One problem's tree, judged on all tests.

    Attributes:
        selected, any_passed: did the node that the selector picked pass, did any?
        nodes, failed: finished nodes, and expansions that gave none.
        order: ids of the finished nodes in the order in which they were told to the search.
        passed: ids of the nodes that pass all tests, in that order.
        selected_at: (n, node id or None): whom the selector picks after the first n nodes, seeing
            public information only; an entry where that changes.
        spent: what the tree took.
    """

    selected: bool
    any_passed: bool
    nodes: int
    failed: int
    order: tuple[int, ...] = ()
    passed: tuple[int, ...] = ()
    selected_at: tuple[tuple[int, int | None], ...] = ()
    spent: Spent = field(default_factory=Spent)

    def passed_at(self, n: int) -> bool:
        """Does any of the first n nodes pass all tests?"""
        return not set(self.passed).isdisjoint(self.order[:n])

    def selected_passed_at(self, n: int) -> bool:
        """Does the node pass that the selector picks after the first n nodes?"""
        picked = None
        for since, node_id in self.selected_at:
            if since > n:
                break
            picked = node_id
        return picked in self.passed

    def to_json(self) -> dict[str, Any]:
        """JSON types; `from_json` is the way back."""
        return {
            "selected": self.selected,
            "any_passed": self.any_passed,
            "nodes": self.nodes,
            "failed": self.failed,
            "order": list(self.order),
            "passed": list(self.passed),
            "selected_at": [list(pair) for pair in self.selected_at],
            "spent": asdict(self.spent),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TreeOutcome:
        """Also of files that lack the order of the nodes: those have no curve.

        Raises:
            KeyError, TypeError: `data` is no outcome of a tree.
        """
        return cls(
            selected=data["selected"],
            any_passed=data["any_passed"],
            nodes=data.get("nodes", 0),
            failed=data.get("failed", 0),
            order=tuple(data.get("order", ())),
            passed=tuple(data.get("passed", ())),
            selected_at=tuple((n, picked) for n, picked in data.get("selected_at", ())),
            spent=Spent(**data.get("spent", {})),
        )


@dataclass(frozen=True, slots=True)
class EvalResult:
    """Outcomes by problem id. `attempts[agent][problem]` are independent first attempts.

    `contenders[agent][problem]` tells of each of these attempts what a selector would make of it: a
    digest of its program's syntax tree if it passes the public tests, else None. Empty where that
    was not kept.

    Attempts and trees that are `cut` did not begin: the budget of the run was spent. A tree that
    is cut counts as unsolved, unless all are: then `trees` is empty. `masked` counts attempts and
    nodes lost to failed requests or to the sandbox's machinery.
    """

    attempts: dict[str, dict[str, list[bool]]]
    trees: dict[str, TreeOutcome] = field(default_factory=dict)
    masked: int = 0
    cut_attempts: int = 0
    cut_trees: int = 0
    spent: Spent = field(default_factory=Spent)
    spent_alone: dict[str, Spent] = field(default_factory=dict)  # by agent, on its attempts
    contenders: dict[str, dict[str, list[str | None]]] = field(default_factory=dict)

    # ------------------------------------------------------------------ by problem

    def agent_rates(self, agent: str) -> dict[str, float]:
        """Share of correct attempts by problem; problems without a usable attempt left out."""
        return {p: mean([float(x) for x in xs]) for p, xs in self.attempts[agent].items() if xs}

    def agent_pass_at(self, agent: str, k: int) -> dict[str, float]:
        """pass@k by problem; problems with fewer than k usable attempts left out."""
        found = self.attempts[agent].items()
        return {p: pass_at_k(len(xs), sum(xs), k) for p, xs in found if len(xs) >= k}

    def mean_rates(self) -> dict[str, float]:
        """Mean of the agents' pass@1 by problem (problems that every agent attempted)."""
        rates = [self.agent_rates(a) for a in self.attempts]
        shared = set.intersection(*(set(r) for r in rates)) if rates else set()
        return {p: mean([r[p] for r in rates]) for p in sorted(shared)}

    def subset(self, problems: Collection[str]) -> EvalResult:
        """The outcomes of these problems alone; counts of what was lost or spent are left out."""
        kept = frozenset(problems)
        return EvalResult(
            {a: {p: xs for p, xs in of.items() if p in kept} for a, of in self.attempts.items()},
            {p: tree for p, tree in self.trees.items() if p in kept},
            contenders={
                a: {p: xs for p, xs in of.items() if p in kept} for a, of in self.contenders.items()
            },
        )

    # ------------------------------------------------------------------ in all

    def summary(
        self,
        *,
        ks: Sequence[int] | None = None,
        resamples: int = 2000,
        seed: int = 0,
        partly: bool = False,
    ) -> dict[str, Any]:
        """`{"agents": {NAME: {pass@1, ci95, pass@K, intervals}}, "team": {pass@1, pass@1(mcts),
        pass@n, ci95}}` with 95 % intervals over problems, see `bootstrap_ci`.

        Args:
            ks: the k of pass@k besides 1; by default the least number of attempts that any
                problem has. Problems with fewer than k attempts are left out, and counted in
                `left_out`.
            partly: leave out a pass@k for which no problem has enough attempts.

        Raises:
            UsageError: no problem has k attempts, although some have attempts (not `partly`).
        """

        def interval(values: Sequence[float]) -> list[float]:
            return list(bootstrap_ci(values, resamples=resamples, seed=seed))

        agents: dict[str, Any] = {}
        for name, attempts in self.attempts.items():
            rates = list(self.agent_rates(name).values())
            entry: dict[str, Any] = {"pass@1": mean(rates), "ci95": interval(rates)}
            intervals = {"pass@1": entry["ci95"]}
            left_out: dict[str, int] = {}
            for k in self._ks(name) if ks is None else sorted(set(ks) - {1}):
                values = list(self.agent_pass_at(name, k).values())
                if not values and partly:
                    continue
                if rates and not values:
                    most = max(len(xs) for xs in attempts.values())
                    raise UsageError(
                        f"pass@{k} of {name}: no problem has more than {most} independent "
                        f"attempts; give --samples {k} or a smaller --k"
                    )
                entry[f"pass@{k}"] = mean(values)
                intervals[f"pass@{k}"] = interval(values)
                if missing := len(rates) - len(values):
                    left_out[f"pass@{k}"] = missing
            agents[name] = entry | {"intervals": intervals}
            if left_out:
                agents[name]["left_out"] = left_out
        team_rates = list(self.mean_rates().values())
        team: dict[str, Any] = {"pass@1": mean(team_rates)}
        by_metric: dict[str, list[float]] = {"pass@1": interval(team_rates)}
        if self.trees:
            selected = [float(t.selected) for t in self.trees.values()]
            found = [float(t.any_passed) for t in self.trees.values()]
            team |= {"pass@1(mcts)": mean(selected), "pass@n": mean(found)}
            by_metric |= {"pass@1(mcts)": interval(selected), "pass@n": interval(found)}
        team["ci95"] = by_metric
        return {"agents": agents, "team": team}

    def _ks(self, agent: str) -> list[int]:
        k = min((len(xs) for xs in self.attempts[agent].values() if xs), default=0)
        return [k] if k > 1 else []

    def curves(self, *, resamples: int = 2000, seed: int = 0) -> dict[str, list[list[float]]]:
        """`{"pass@n": [[n, value, low, high], …], "pass@1(mcts)": […]}` for n = 1…N nodes.

        Each point is of the first n nodes of every tree; a tree that ended before n stays as it
        was. Empty without trees, or if one of them does not say in which order its nodes came.
        """
        trees = list(self.trees.values())
        if not trees or any(len(t.order) != t.nodes for t in trees):
            return {}
        points: dict[str, list[list[float]]] = {"pass@n": [], "pass@1(mcts)": []}
        for n in range(1, max(t.nodes for t in trees) + 1):
            for name, hits in (
                ("pass@n", [t.passed_at(n) for t in trees]),
                ("pass@1(mcts)", [t.selected_passed_at(n) for t in trees]),
            ):
                values = [float(hit) for hit in hits]
                low, high = bootstrap_ci(values, resamples=resamples, seed=seed)
                points[name].append([n, mean(values), low, high])
        return points

    def to_json(self) -> dict[str, Any]:
        """Every outcome, for the run directory; `from_json` is the way back."""
        return {
            "attempts": self.attempts,
            "contenders": self.contenders,
            "trees": {p: t.to_json() for p, t in self.trees.items()},
            "masked": self.masked,
            "cut_attempts": self.cut_attempts,
            "cut_trees": self.cut_trees,
            "spent": asdict(self.spent),
            "spent_alone": {agent: asdict(spent) for agent, spent in self.spent_alone.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EvalResult:
        """From "outcomes" of a results file, old ones included.

        Raises:
            KeyError, TypeError: `data` holds no outcomes.
        """
        return cls(
            attempts=data["attempts"],
            trees={p: TreeOutcome.from_json(t) for p, t in data.get("trees", {}).items()},
            masked=data.get("masked", 0),
            cut_attempts=data.get("cut_attempts", 0),
            cut_trees=data.get("cut_trees", 0),
            spent=Spent(**data.get("spent", {})),
            spent_alone={a: Spent(**s) for a, s in data.get("spent_alone", {}).items()},
            contenders=data.get("contenders", {}),
        )


def paired_rise(
    before: EvalResult, after: EvalResult, *, resamples: int = 2000, seed: int = 0
) -> dict[str, Any]:
    """Rise of the agents' mean pass@1, paired by problem: `{"mean", "ci95", "problems"}`."""
    old, new = before.mean_rates(), after.mean_rates()
    rises = [new[p] - old[p] for p in sorted(old.keys() & new.keys())]
    low, high = difference_ci(rises, resamples=resamples, seed=seed)
    return {"mean": mean(rises), "ci95": [low, high], "problems": len(rises)}
