"""Where a policy's samples wait until there are enough of them to learn from.

One buffer a policy, first in, first out. A sample written by weights older than the staleness
bound is dropped and counted; younger ones are left to the rollout correction.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable

from mars2.errors import TrainingError
from mars2.training.sample import Sample, sample_from_json, sample_to_json


class SampleBuffer:
    """FIFO of one policy's samples.

    Args:
        policy: the only policy whose samples are accepted: token ids of another tokenizer
            would train nonsense silently.
        max_staleness: a sample is usable while current version − its version ≤ this.
    """

    def __init__(self, policy: str, max_staleness: int) -> None:
        self.policy = policy
        self.max_staleness = max_staleness
        self.dropped = 0  # since the start of the run
        self._samples: deque[Sample] = deque()

    def __len__(self) -> int:
        return len(self._samples)

    def add(self, samples: Iterable[Sample]) -> None:
        """Append in order. Raises TrainingError for a sample of another policy, adding none."""
        new = list(samples)
        for sample in new:
            if sample.policy != self.policy:
                raise TrainingError(
                    f"a sample of policy {sample.policy!r} was offered to the buffer of "
                    f"{self.policy!r}"
                )
        self._samples.extend(new)

    def drop_stale(self, version: int) -> list[Sample]:
        """Drop samples older than the bound at this version; returns them."""
        limit = version - self.max_staleness
        gone = [s for s in self._samples if s.policy_version < limit]
        if gone:
            self._samples = deque(s for s in self._samples if s.policy_version >= limit)
            self.dropped += len(gone)
        return gone

    def keep_newest(self, count: int) -> list[Sample]:
        """Drop the oldest of more than `count` samples; returns them."""
        gone = [self._samples.popleft() for _ in range(max(0, len(self._samples) - count))]
        self.dropped += len(gone)
        return gone

    def take(self, minimum: int = 1, maximum: int | None = None) -> list[Sample]:
        """The oldest samples, at most `maximum`; the rest stays. Empty if fewer than `minimum`."""
        if len(self._samples) < minimum:
            return []
        count = len(self._samples) if maximum is None else min(maximum, len(self._samples))
        return [self._samples.popleft() for _ in range(count)]

    def dumps(self) -> str:
        """JSON lines: a header with the counters, then one sample a line."""
        header = {"policy": self.policy, "dropped": self.dropped, "samples": len(self._samples)}
        rows = [header, *(sample_to_json(s) for s in self._samples)]
        return "".join(json.dumps(row) + "\n" for row in rows)

    def loads(self, text: str) -> None:
        """Take over what `dumps` wrote. Raises TrainingError if it is of another policy or cut."""
        head, *rows = [json.loads(line) for line in text.splitlines()]
        if head["policy"] != self.policy or head["samples"] != len(rows):
            raise TrainingError(
                f"saved buffer of {head['policy']!r} with {len(rows)} of {head['samples']} samples "
                f"does not fit the buffer of {self.policy!r}"
            )
        self._samples = deque(sample_from_json(row) for row in rows)
        self.dropped = head["dropped"]
