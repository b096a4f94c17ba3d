"""Agents whose ambiguities overlap as far as one wants: what each of them misreads, and its recipe.

Every agent misreads a quarter of all pieces, the same number of each kind and family, and never
both of a pair. Any two agents of a dial share the same pieces, `overlap` of them; what they do not
share is disjoint. The first agent is the same at every overlap. Pure data, see docs/lab.md.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

from mars2.errors import UsageError
from mars2.lab.families.pieces import VOCABULARIES, Kind
from mars2.lab.specs import spec

MOST_AGENTS = 4
_EACH = 2  # pieces of a kind and family that an agent misreads, of 4 pairs
_KINDS: tuple[Kind, ...] = ("filter", "map", "reduce")


@dataclass(frozen=True)
class BaseRecipe:
    """What the agents of a dial begin as: a packaged model that has learned longer pipelines.

    It goes on with its pretraining, without habits, on a corpus of which `deep` is of the hard
    families' lengths. `double`: with twice the parameters.
    """

    packaged: str
    double: bool = False
    steps: int = 900
    batch: int = 32
    lr: float = 3e-3
    deep: float = 0.6
    seed: int = 0

    @property
    def label(self) -> str:
        """Short, for directories."""
        return f"{self.packaged}-double" if self.double else self.packaged


@dataclass(frozen=True)
class AgentRecipe:
    """One agent: its base, briefly trained on a corpus whose writer misreads `pieces`.

    `rate` is how often, `second_look` by which factor less often with a failure at hand.
    """

    base: BaseRecipe
    pieces: tuple[str, ...]
    seed: int
    rate: float = 0.85
    second_look: float = 0.8
    steps: int = 60
    batch: int = 32
    lr: float = 1e-3


Recipe = BaseRecipe | AgentRecipe


@dataclass(frozen=True)
class Dial:
    """Agents by name, `a1` the first; `twin` and `double` misread what `a1` does.

    `twin` differs from it by seed alone, `double` by having twice the parameters.
    """

    agents: dict[str, AgentRecipe]
    controls: dict[str, AgentRecipe] = field(default_factory=dict)


def digest(recipe: Recipe) -> str:
    """Ten hex digits of everything that decides the weights."""
    data = json.dumps(asdict(recipe), sort_keys=True)
    return hashlib.sha256(data.encode()).hexdigest()[:10]


def directory_name(recipe: Recipe) -> str:
    """Of a model in a cache: the same for the same recipe, whichever dial wants it."""
    if isinstance(recipe, BaseRecipe):
        return f"base-{recipe.label}-{digest(recipe)}"
    return f"{recipe.base.label}-{digest(recipe)}"


def make_dial(
    agents: int,
    overlap: float,
    *,
    seed: int = 0,
    bases: Sequence[str] = ("loom",),
    rate: float = 0.85,
    twin: bool = False,
    double: bool = False,
    steps: int = 60,
    base_steps: int = 900,
    batch: int = 32,
) -> Dial:
    """The recipes of a team.

    Args:
        agents: 1 to 4.
        overlap: share of the misread pieces that any two agents have in common, in [0, 1].
        seed: of which pieces, and of each agent's training; bases do not depend on it.
        bases: packaged models that the agents begin as, in turn.
        rate: how often a piece is misread, in [0, 1].

    Raises:
        UsageError: an argument is out of its range.
        AgentSpecError: no such packaged model.
    """
    if not 0 <= rate <= 1:
        raise UsageError(f"a rate of {rate:g} does not exist: give a share from 0 to 1")
    if steps < 1 or base_steps < 1:
        raise UsageError("training needs at least one step")
    known = [BaseRecipe(spec(base).name, steps=base_steps, batch=batch) for base in bases]

    def recipe(base: BaseRecipe, pieces: tuple[str, ...], number: int) -> AgentRecipe:
        return AgentRecipe(base, pieces, seed * 100 + number, rate, steps=steps, batch=batch)

    misread = ambiguities(agents, overlap, seed)
    team = {
        f"a{i + 1}": recipe(known[i % len(known)], pieces, i + 1)
        for i, pieces in enumerate(misread)
    }
    controls = {}
    if twin:
        controls["twin"] = recipe(known[0], misread[0], MOST_AGENTS + 1)
    if double:
        controls["double"] = recipe(replace(known[0], double=True), misread[0], 1)
    return Dial(team, controls)


def ambiguities(agents: int, overlap: float, seed: int = 0) -> list[tuple[str, ...]]:
    """The pieces that each of `agents` misreads: 12 names each, of 48.

    Any two agents share exactly round(12 · overlap) of them.

    Raises:
        UsageError: not 1 to 4 agents, or an overlap outside [0, 1].
    """
    if not 1 <= agents <= MOST_AGENTS:
        raise UsageError(
            f"{agents} agents: there are disjoint ambiguities for 1 to {MOST_AGENTS} of them"
        )
    if not 0 <= overlap <= 1:
        raise UsageError(f"an overlap of {overlap:g} does not exist: give a share from 0 to 1")
    rng = random.Random(f"dial:{seed}")
    found: list[list[str]] = [[] for _ in range(agents)]
    for vocabulary in VOCABULARIES.values():
        for kind in _KINDS:
            pairs = list(vocabulary.of_kind(kind))
            rng.shuffle(pairs)
            first = [rng.randrange(2) for _ in pairs]
            # Each pair's one piece, then each pair's other: as many in a row as there are pairs
            # are of different pairs.
            pieces = [p.piece(v) for p, v in zip(pairs, first, strict=True)]
            pieces += [p.piece(1 - v) for p, v in zip(pairs, first, strict=True)]
            for i in range(agents):
                found[i] += [piece.name for piece in pieces[i * _EACH : (i + 1) * _EACH]]
    places = list(range(len(found[0])))
    rng.shuffle(places)  # so that each degree of overlap shares those of the lower ones, and more
    # Place by place, an agent's own piece is of another pair than its others, or of the same pair
    # as the first agent's there: to take that one instead never leaves it with both of a pair.
    for place in places[: round(overlap * len(places))]:
        for own in found:
            own[place] = found[0][place]
    return [tuple(own) for own in found]
