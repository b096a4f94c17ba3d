"""From solutions to the numbers of `diversity.json`: three levels, duplicates, error overlap.

Solutions are compared only with solutions of the same problem (and of the same training step).
Every number is computed a problem at a time and then averaged over problems, with intervals over
problems; an agent with a single solution of a problem has no diversity there and is left out of it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal, get_args

from mars2.diversity import dispersion
from mars2.diversity.embed import Embedder
from mars2.diversity.facts import MAX_LOOPS, facts_of
from mars2.diversity.families import families_of
from mars2.diversity.normal import Normal, Why, distance, normalise, parse
from mars2.diversity.overlap import error_overlap, outcomes_of
from mars2.diversity.solutions import Solution, Source
from mars2.evaluation.metrics import bootstrap_ci

if TYPE_CHECKING:
    from mars2.diversity.dispersion import Matrix

Level = Literal["semantic", "algorithmic", "reasoning"]
LEVELS: tuple[Level, ...] = get_args(Level)
AT_MOST = 64
"""Solutions of one agent that are compared, of a problem (and step): the first ones."""

ALGORITHMIC = "pq-gram Jaccard distance of canonical syntax trees (p = 2, q = 3)"

Advance = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Analysed:
    """A solution, and what its program came to: a canonical form or why there is none."""

    solution: Solution
    normal: Normal | Why | None
    families: frozenset[str] = frozenset()


@dataclass(slots=True)
class Group:
    """Solutions of one problem at one step."""

    problem: str
    step: int | None
    members: list[Analysed] = field(default_factory=list)

    def by_agent(self, usable: Sequence[int]) -> dict[str, list[int]]:
        """Positions within `usable` of each agent's solutions."""
        found: dict[str, list[int]] = {}
        for place, index in enumerate(usable):
            found.setdefault(self.members[index].solution.agent, []).append(place)
        return found


@dataclass(frozen=True, slots=True)
class Spread:
    """One group at one level. Distances between agents are by (earlier, later) name.

    `extra`: further numbers by agent; `count`: solutions compared, by agent.
    """

    group: Group
    within: dict[str, float]
    between: dict[tuple[str, str], float]
    extra: dict[str, dict[str, float]]
    count: dict[str, int]


def analyse(solution: Solution) -> Analysed:
    """Parse a program, once. Never runs it."""
    if solution.program is None or not solution.program.strip():
        return Analysed(solution, None)
    module = parse(solution.program)
    if isinstance(module, str):
        return Analysed(solution, module)
    normal = normalise(module)
    if normal is None:
        return Analysed(solution, "too_large")
    facts = facts_of(module)
    if any(depth > MAX_LOOPS for _, depth in facts.loops):
        return Analysed(solution, "syntax")
    return Analysed(solution, normal, families_of(facts))


def grouped(
    solutions: Iterable[Solution], advance: Advance | None = None
) -> tuple[list[Group], int]:
    """(groups by problem and step, analysed; how many solutions beyond `AT_MOST` are in none)."""
    groups: dict[tuple[str, int | None], Group] = {}
    counts: Counter[tuple[str, int | None, str]] = Counter()
    more = 0
    for s in solutions:
        counts[s.problem, s.step, s.agent] += 1
        if counts[s.problem, s.step, s.agent] <= AT_MOST:
            group = groups.setdefault((s.problem, s.step), Group(s.problem, s.step))
            group.members.append(analyse(s))
        else:
            more += 1
        if advance is not None:
            advance()
    return list(groups.values()), more


def measure(
    source: Source,
    levels: Sequence[Level],
    embedder: Embedder,
    *,
    resamples: int = 2000,
    seed: int = 0,
    advance: Advance | None = None,
) -> dict[str, Any]:
    """The object of `diversity.json`; see docs/diversity.md for every key.

    Args:
        advance: called for each solution as it is analysed.
    """
    groups, more = grouped(source.solutions, advance)
    cut = embedder.cut
    current = [g for g in groups if source.latest in (None, g.step)]
    steps = sorted({g.step for g in groups if g.step is not None})
    ci = _Intervals(resamples, seed)
    found: dict[str, Any] = {}
    for level in levels:
        spreads = [_spread(group, level, embedder) for group in groups]
        latest = [s for s in spreads if source.latest in (None, s.group.step)]
        found[level] = {
            "method": _method(level, embedder),
            **_summary(latest, ci),
            "steps": [row for step in steps for row in _step_rows(spreads, step, ci)],
            **_left_out(level, current),
        }
        if level == "algorithmic":
            found[level]["families"] = _family_shares(current)
    notes = list(source.notes)
    if more:
        notes.append(
            f"{more} solutions beyond the first {AT_MOST} of an agent and problem left out"
        )
    overlap = error_overlap(outcomes_of(source.judged), resamples=resamples, seed=seed)
    return {
        "schema": 1,
        "of": source.which,
        "step": source.latest,
        "solutions": sum(len(g.members) for g in current),
        "problems": len({g.problem for g in current}),
        "levels": found,
        "duplicates": _duplicates(current),
        "error_overlap": overlap,
        "cut_texts": embedder.cut - cut,
        "notes": notes,
    }


def _method(level: Level, embedder: Embedder) -> str:
    if level == "algorithmic":
        return ALGORITHMIC
    what = "programs" if level == "semantic" else "the text before the program"
    return f"cosine distance of embeddings of {what}; {embedder.method}"


def problem_distances(
    solutions: Iterable[Solution], level: Level, embedder: Embedder
) -> dict[str, float]:
    """By problem, how far apart two solutions are on average, each by an agent drawn at random.

    Problems that some agent has fewer than two usable solutions of are left out.
    """
    found = list(solutions)
    agents = len({s.agent for s in found})
    spreads = (_spread(group, level, embedder) for group in grouped(found)[0])
    return {s.group.problem: _at_random(s) for s in spreads if len(s.within) == agents}


# --------------------------------------------------------------------------- one group


def _spread(group: Group, level: Level, embedder: Embedder) -> Spread:
    usable = [i for i, m in enumerate(group.members) if _usable(m, level)]
    agents = group.by_agent(usable)
    extra: dict[str, dict[str, float]] = {a: {} for a in agents}
    within: dict[str, float] = {}
    between: dict[tuple[str, str], float] = {}
    if len(usable) > 1:
        members = [group.members[i] for i in usable]
        if level == "algorithmic":
            distances = tree_distances([m.normal for m in members if isinstance(m.normal, Normal)])
        else:
            distances = _embedded([_text(m, level) for m in members], embedder)
        within = {a: dispersion.mean_within(distances, rows) for a, rows in agents.items()}
        between = {
            (a, b): dispersion.mean_between(distances, agents[a], agents[b])
            for a, b in combinations(sorted(agents), 2)
        }
        equal = min((len(r) for r in agents.values() if len(r) > 1), default=0)
        for agent, rows in agents.items():
            if len(rows) < 2:
                continue
            if level == "algorithmic":
                extra[agent] = _approaches([members[r].families for r in rows])
            else:
                first = rows[:equal]
                extra[agent] = {"vendi": dispersion.vendi(distances[first][:, first])}
    within = {a: x for a, x in within.items() if not math.isnan(x)}
    return Spread(group, within, between, extra, {a: len(r) for a, r in agents.items()})


def _usable(member: Analysed, level: Level) -> bool:
    if level == "algorithmic":
        return isinstance(member.normal, Normal)
    return bool(_text(member, level).strip())


def _text(member: Analysed, level: Level) -> str:
    s = member.solution
    return (s.program if level == "semantic" else s.reasoning) or ""


def _embedded(texts: list[str], embedder: Embedder) -> Matrix:
    """Distances of all texts; equal texts are embedded once."""
    distinct = list(dict.fromkeys(texts))
    distances = dispersion.cosine_distances(embedder(distinct))
    place = {text: i for i, text in enumerate(distinct)}
    rows = [place[text] for text in texts]
    return distances[rows][:, rows]


def tree_distances(programs: Sequence[Normal]) -> Matrix:
    """`normal.distance` between all programs, [n, n]; equal fingerprints are compared once."""
    import numpy as np

    distinct = list({p.fingerprint: p for p in programs}.values())
    place = {p.fingerprint: i for i, p in enumerate(distinct)}
    table = np.zeros((len(distinct), len(distinct)))
    for i, j in combinations(range(len(distinct)), 2):
        table[i, j] = table[j, i] = distance(distinct[i].profile, distinct[j].profile)
    rows = [place[p.fingerprint] for p in programs]
    return table[rows][:, rows]


def _approaches(approaches: Sequence[frozenset[str]]) -> dict[str, float]:
    counts = Counter(approaches).values()
    return {
        "entropy_bits": dispersion.entropy_bits(counts),
        "entropy_miller_madow": dispersion.miller_madow(counts),
        "approaches_differ": dispersion.differ(counts),
    }


# --------------------------------------------------------------------------- over problems


@dataclass(frozen=True, slots=True)
class _Intervals:
    resamples: int
    seed: int

    def __call__(self, values: Sequence[float]) -> list[float]:
        if len(values) < 2:  # one problem says nothing about others
            return [math.nan, math.nan]
        return list(bootstrap_ci(values, resamples=self.resamples, seed=self.seed))


def _by_problem(values: Iterable[tuple[str, float]]) -> list[float]:
    """One number a problem: the mean of those of its groups."""
    found: dict[str, list[float]] = {}
    for problem, value in values:
        found.setdefault(problem, []).append(value)
    return [fmean(found[p]) for p in sorted(found)]


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else math.nan


def _summary(spreads: Sequence[Spread], ci: _Intervals) -> dict[str, Any]:
    names = sorted({a for s in spreads for a in s.count})
    agents = {name: _agent(name, spreads, ci) for name in names}
    between = [_between(a, b, spreads, ci) for a, b in combinations(names, 2)]
    return {"agents": agents, "between": between, "team": _team(names, spreads, ci)}


def _agent(name: str, spreads: Sequence[Spread], ci: _Intervals) -> dict[str, Any]:
    here = [s for s in spreads if name in s.within]
    values = _by_problem((s.group.problem, s.within[name]) for s in here)
    alone = {s.group.problem for s in spreads if s.count.get(name) == 1}
    extra = {
        key: _mean(_by_problem((s.group.problem, s.extra[name][key]) for s in here))
        for key in (here[0].extra[name] if here else {})
    }
    return {
        "diversity": _mean(values),
        "ci95": ci(values),
        "problems": len(values),
        "solutions": sum(s.count[name] for s in here),
        "single": len(alone - {s.group.problem for s in here}),
        **extra,
    }


def _between(a: str, b: str, spreads: Sequence[Spread], ci: _Intervals) -> dict[str, Any]:
    here = [s for s in spreads if (a, b) in s.between]
    values = _by_problem((s.group.problem, s.between[a, b]) for s in here)
    # The energy distance of Székely and Rizzo 2013, halved; 0 on average if a is like b.
    excess = _by_problem(
        (s.group.problem, s.between[a, b] - (s.within[a] + s.within[b]) / 2)
        for s in here
        if a in s.within and b in s.within
    )
    return {
        "a": a,
        "b": b,
        "diversity": _mean(values),
        "ci95": ci(values),
        "problems": len(values),
        "excess": _mean(excess),
        "excess_ci95": ci(excess),
    }


def _team(names: Sequence[str], spreads: Sequence[Spread], ci: _Intervals) -> dict[str, Any]:
    """Two solutions, each by an agent drawn at random: their expected distance."""
    m = len(names)
    values = _by_problem(
        (s.group.problem, _at_random(s)) for s in spreads if m and len(s.within) == m
    )
    return {"diversity": _mean(values), "ci95": ci(values), "problems": len(values)}


def _at_random(spread: Spread) -> float:
    """Expected distance of two solutions, each by an agent drawn at random."""
    m = len(spread.within)
    return (sum(spread.within.values()) + 2 * sum(spread.between.values())) / (m * m)


def _step_rows(spreads: Sequence[Spread], step: int, ci: _Intervals) -> list[dict[str, Any]]:
    here = _summary([s for s in spreads if s.group.step == step], ci)
    keys = ("diversity", "ci95", "problems")
    return [
        {"step": step, "agent": name} | {k: row[k] for k in keys}
        for name, row in here["agents"].items()
        if row["problems"]
    ]


# --------------------------------------------------------------------------- counts


def _left_out(level: Level, groups: Sequence[Group]) -> dict[str, Any]:
    """Solutions that this level cannot compare, by reason."""
    members = [m for g in groups for m in g.members]
    why: Counter[str] = Counter()
    for m in members:
        if level == "reasoning":
            if m.solution.reasoning is None:
                why["text_unknown"] += 1
            elif not m.solution.reasoning.strip():
                why["no_text"] += 1
        elif not (m.solution.program or "").strip():
            why["no_program"] += 1
        elif level == "algorithmic" and isinstance(m.normal, str):
            why[m.normal] += 1
    return {"left_out": dict(sorted(why.items()))}


def _family_shares(groups: Sequence[Group]) -> dict[str, dict[str, float]]:
    """Agent → family → share of its parsed programs that belong to it."""
    parsed: Counter[str] = Counter()
    counts: dict[str, Counter[str]] = {}
    for m in (m for g in groups for m in g.members if isinstance(m.normal, Normal)):
        parsed[m.solution.agent] += 1
        counts.setdefault(m.solution.agent, Counter()).update(m.families)
    return {
        agent: {name: n / parsed[agent] for name, n in found.most_common()}
        for agent, found in sorted(counts.items())
    }


def _duplicates(groups: Sequence[Group]) -> dict[str, dict[str, int]]:
    """Per agent, how many programs repeat one of its own for the same problem (and step).

    `exact`: the same text. `normalised`: the same canonical tree; what does not parse repeats
    only an equal text.
    """
    found: dict[str, Counter[str]] = {}
    for group in groups:
        texts: set[tuple[str, str]] = set()
        shapes: set[tuple[str, str]] = set()
        for m in group.members:
            s = m.solution
            if s.program is None:
                continue
            shape = m.normal.fingerprint if isinstance(m.normal, Normal) else f"text {s.program}"
            counts = found.setdefault(s.agent, Counter())
            counts["solutions"] += 1
            counts["exact"] += (s.agent, s.program) in texts
            counts["normalised"] += (s.agent, shape) in shapes
            texts.add((s.agent, s.program))
            shapes.add((s.agent, shape))
    keys = ("solutions", "exact", "normalised")
    return {agent: {k: counts[k] for k in keys} for agent, counts in sorted(found.items())}
