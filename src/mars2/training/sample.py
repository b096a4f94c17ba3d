"""What a learner sees of a node. Pure Python, so that credit and buffers need no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Sample:
    """One generation with its credit.

    Token ids belong to the tokenizer of `policy` and to no other. `logprobs[t]` is the
    log-probability (nats) of `token_ids[t]` under the weights that wrote it, of the softmax at
    `temperature`. `reward` is the raw reward in [0, 1], `shaped` the one after shaping and
    overlong penalty, `advantage` the one relative to the whole tree.
    """

    agent: str
    policy: str
    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    temperature: float
    reward: float
    shaped: float
    advantage: float
    tree_id: str
    node_id: int
    policy_version: int
    truncated: bool

    def __post_init__(self) -> None:
        if not self.prompt_ids or not self.token_ids:
            raise ValueError(f"{self._where()}: a sample needs prompt and output tokens")
        if len(self.logprobs) != len(self.token_ids):
            raise ValueError(
                f"{self._where()}: {len(self.logprobs)} log-probs for {len(self.token_ids)} tokens"
            )
        if not self.temperature > 0:
            raise ValueError(f"{self._where()}: temperature {self.temperature} is not above 0")

    def _where(self) -> str:
        return f"node {self.node_id} of tree {self.tree_id!r}"


def sample_to_json(sample: Sample) -> dict[str, Any]:
    """A JSON object with one key a field; floats survive exactly."""
    return asdict(sample)


def sample_from_json(data: Mapping[str, Any]) -> Sample:
    """Inverse of `sample_to_json`. Raises ValueError naming missing or unknown fields."""
    names = {f.name for f in fields(Sample)}
    if data.keys() != names:
        raise ValueError(f"sample fields differ: {sorted(data.keys() ^ names)}")
    row = dict(data)
    for key in ("prompt_ids", "token_ids", "logprobs"):
        row[key] = tuple(row[key])
    return Sample(**row)
