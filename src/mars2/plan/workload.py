"""How long prompts and answers are, and what trees look like: stated, or read from a journal."""

from __future__ import annotations

import gzip
import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist, fmean
from typing import Any

from pydantic import Field

from mars2.config.section import Section
from mars2.errors import ConfigError


class Workload(Section):
    """What a run's trees are made of, in tokens. Defaults are assumptions; a plan prints them.

    `output_tokens`: mean length of an answer, None: half of the agent's `max_tokens`. Lengths are
    log-normal with `output_sigma`, cut at `max_tokens`. `distinct`: share of a tree's prompts that
    no other node of the same agent has. `informative`: share of trees whose rewards differ.
    """

    prompt_tokens: float = Field(default=600.0, gt=0)  # of a first attempt
    refine_tokens: float = Field(default=1800.0, gt=0)  # of a refinement: statement, code, failure
    refine_share: float = Field(default=0.4, ge=0, le=1)
    output_tokens: float | None = Field(default=None, gt=0)
    output_sigma: float = Field(default=0.7, ge=0)
    distinct: float = Field(default=0.5, gt=0, le=1)
    informative: float = Field(default=0.7, gt=0, le=1)
    verify_seconds: float = Field(default=0.5, ge=0)

    @property
    def mean_prompt(self) -> float:
        """Tokens, over first attempts and refinements."""
        return (1 - self.refine_share) * self.prompt_tokens + self.refine_share * self.refine_tokens

    def mean_output(self, max_tokens: int) -> float:
        """Tokens of an answer of an agent with this limit."""
        return min(self.output_tokens or max_tokens / 2, max_tokens)

    def quantiles(self, count: int, max_tokens: int) -> list[int]:
        """Lengths of `count` answers: the quantiles (i + ½)/count of the distribution."""
        mean, sigma = self.mean_output(max_tokens), self.output_sigma
        centre = math.log(mean) - sigma * sigma / 2
        draw = NormalDist(centre, sigma) if sigma else None
        made = (math.exp(draw.inv_cdf((i + 0.5) / count)) if draw else mean for i in range(count))
        return [max(1, min(max_tokens, round(x))) for x in made]


@dataclass(frozen=True, slots=True)
class Answer:
    """One node, as far as time is concerned."""

    refines: bool
    prompt: int
    output: int
    verify: float  # seconds


@dataclass(frozen=True, slots=True)
class Observed:
    """What a journal tells: nodes by action, and the shares that a `Workload` has."""

    answers: tuple[Answer, ...]
    workload: Workload


class Draws:
    """Random nodes like the observed ones, or of the stated distribution.

    Args:
        scale: of observed lengths: a run of a small model has the shape of a long one's, not its
            size.
    """

    def __init__(
        self,
        workload: Workload,
        max_tokens: int,
        rng: random.Random,
        observed: Sequence[Answer] = (),
        scale: float = 1.0,
    ) -> None:
        self._rng = rng
        self._limit = max_tokens
        self._workload = workload
        self._scale = scale
        self._by_action = {
            kind: [a for a in observed if a.refines is kind] or list(observed)
            for kind in (False, True)
        }

    def answer(self, refines: bool) -> Answer:
        """One node."""
        pool, rng, of = self._by_action[refines], self._rng, self._workload
        if pool:
            seen = pool[int(rng.random() * len(pool))]
            return Answer(
                refines,
                max(1, round(seen.prompt * self._scale)),
                max(1, min(self._limit, round(seen.output * self._scale))),
                seen.verify,
            )
        sigma = of.output_sigma
        mean = of.mean_output(self._limit)
        length = mean * math.exp(rng.gauss(0, 1) * sigma - sigma * sigma / 2)
        return Answer(
            refines,
            round(of.refine_tokens if refines else of.prompt_tokens),
            max(1, min(self._limit, round(length))),
            rng.expovariate(1 / of.verify_seconds) if of.verify_seconds else 0.0,
        )


def observe(paths: Sequence[Path]) -> Observed:
    """From run directories, journals, or journals of nodes (.jsonl, .jsonl.gz).

    Raises:
        ConfigError: a file is missing or has no nodes.
    """
    nodes = [n for path in paths for n in _nodes(path)]
    if not nodes:
        raise ConfigError(f"no nodes in {', '.join(map(str, paths))}: name runs with a journal")
    answers = tuple(
        Answer(
            n["action"] == "refine",
            n["generation"]["usage"][0],
            n["generation"]["usage"][1],
            n["verdict"].get("seconds", 0.0),
        )
        for n in nodes
    )
    first = [a for a in answers if not a.refines]
    again = [a for a in answers if a.refines] or first
    logs = [math.log(max(1, a.output)) for a in answers]
    centre = fmean(logs)
    trees: dict[str, list[dict[str, Any]]] = {}
    for n in nodes:
        trees.setdefault(n["tree_id"], []).append(n)
    prompts = {(t, n["agent"], n["parent_id"]) for t, of in trees.items() for n in of}
    differ = sum(len({n["reward"] for n in of}) > 1 for of in trees.values())
    return Observed(
        answers,
        Workload(
            prompt_tokens=fmean(a.prompt for a in first or again),
            refine_tokens=fmean(a.prompt for a in again),
            refine_share=sum(a.refines for a in answers) / len(answers),
            output_tokens=max(1.0, fmean(a.output for a in answers)),
            output_sigma=math.sqrt(fmean((x - centre) ** 2 for x in logs)),
            distinct=len(prompts) / len(nodes),
            informative=max(1, differ) / len(trees),
            verify_seconds=fmean(a.verify for a in answers),
        ),
    )


def _nodes(path: Path) -> Iterator[dict[str, Any]]:
    file = path / "journal.jsonl" if path.is_dir() else path
    try:
        open_ = gzip.open if file.suffix == ".gz" else open
        with open_(file, "rt", encoding="utf-8") as lines:
            for line in lines:
                try:
                    row = json.loads(line)
                except ValueError:
                    continue  # the torn last line of a run that was killed
                node = row.get("node") if "event" in row else row
                if isinstance(node, dict) and "generation" in node:
                    yield node
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error}") from None
