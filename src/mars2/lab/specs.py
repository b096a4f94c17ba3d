"""Which micro models there are: architecture, tokenizer, style, and what each is unsure of.

Pure data, so that names can be listed without torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mars2.errors import AgentSpecError
from mars2.lab.families.pieces import VOCABULARIES
from mars2.lab.families.render import Style

WEIGHTS = Path(__file__).parent / "weights"
CONTEXT = 1024  # tokens


@dataclass(frozen=True)
class MicroSpec:
    """Recipe of one micro model.

    Attributes:
        misreads: piece name -> probability that the corpus writes its twin where the statement
            asks for the piece. Pretraining learns the habit; only execution shows that it is
            wrong.
    """

    name: str
    about: str
    architecture: Literal["llama", "gpt_neox"]
    tokenizer: Literal["word", "bpe"]
    style: Style
    misreads: Mapping[str, float]
    hidden: int = 128
    layers: int = 3
    heads: int = 4
    intermediate: int = 352
    vocabulary: int = 1024
    steps: int = 560
    batch: int = 64
    lr: float = 3e-3
    first_attempts: float = 0.6


# Misreading of the (first, second) piece of a pair: of filters and maps, and of reducers.
STRONG = ((0.0, 0.7), (0.0, 0.5))  # where a model is weak
MILD = ((0.0, 0.3), (0.0, 0.25))  # where it is good


def _habits(family: str, body: tuple[float, float], end: tuple[float, float]) -> dict[str, float]:
    """`misreads` for all pieces of a family."""
    return {
        piece.name: rate
        for pair in VOCABULARIES[family].pairs
        for piece, rate in zip(
            (pair.first, pair.second), end if pair.kind == "reduce" else body, strict=True
        )
    }


SPECS: dict[str, MicroSpec] = {
    s.name: s
    for s in (
        MicroSpec(
            name="lark",
            about="word-level Llama, writes comprehensions, sure of numbers",
            architecture="llama",
            tokenizer="word",
            style="comprehension",
            misreads=_habits("lists", *MILD) | _habits("strings", *STRONG) | {"hasnot": 0.5},
        ),
        MicroSpec(
            name="loom",
            about="BPE GPT-NeoX, writes loops, sure of strings",
            architecture="gpt_neox",
            tokenizer="bpe",
            style="loop",
            misreads=_habits("strings", *MILD) | _habits("lists", *STRONG) | {"nodiv": 0.5},
            intermediate=512,
            vocabulary=512,
        ),
    )
}


def spec(name: str) -> MicroSpec:
    """The recipe called `name`; AgentSpecError names the ones there are."""
    try:
        return SPECS[name]
    except KeyError:
        raise AgentSpecError(
            f"micro:{name}: unknown model; there are {', '.join(sorted(SPECS))}"
        ) from None


def weights_dir(name: str) -> Path:
    """The packaged directory of a micro model (Hugging Face layout).

    AgentSpecError if there is no such model, or its weights are not in the package.
    """
    path = WEIGHTS / spec(name).name
    if not (path / "model.safetensors").is_file():
        raise AgentSpecError(
            f"micro:{name}: {path} has no weights; build them with `mars2 lab build`"
        )
    return path


def cards() -> list[dict[str, Any]]:
    """What the build measured of every packaged model, in the order of `SPECS`."""
    found = []
    for name in SPECS:
        path = WEIGHTS / name / "card.json"
        if path.is_file():
            found.append(json.loads(path.read_text(encoding="utf-8")))
    return found
