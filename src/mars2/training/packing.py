"""Samples as one stream of tokens without padding in which equal beginnings occur once.

Siblings of a tree have the same prompt, and prompts of one problem begin alike. What a causal
model computes at a token depends on the tokens before it only, so a beginning that several
samples share is computed once and read by all of them; nothing is approximated. The stream is the
trie of the samples, laid out depth first. Pure Python: which tokens there are, and who sees whom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mars2.training.sample import Sample

# A shared beginning shorter than this is repeated: below it, reading the keys of another row is
# taken to cost more than computing them again.
MIN_SHARED = 8


@dataclass(frozen=True, slots=True)
class Row:
    """Consecutive tokens of the stream that continue one another.

    Token j of the row sees the stream's ranges in `prefix` (in that order) and the row up to j.
    """

    start: int
    end: int
    prefix: tuple[tuple[int, int], ...]  # half-open ranges of earlier rows' tokens


@dataclass(frozen=True, slots=True)
class Layout:
    """A stream of N tokens.

    `rows` tile it in order. `sources[i][t]` is the place in the stream at which the model predicts
    token t of sample i's output.
    """

    tokens: list[int]
    positions: list[int]
    rows: list[Row]
    sources: list[list[int]]


def pack(samples: Sequence[Sample], min_shared: int = MIN_SHARED) -> Layout:
    """Lay samples out as one stream. The last output token predicts nothing and is left out."""
    inputs = [_input(s) for s in samples]
    tokens: list[int] = []
    positions: list[int] = []
    rows: list[Row] = []
    sources: list[list[int]] = [[]] * len(samples)
    before: tuple[int, ...] = ()
    path: list[int] = []  # place in the stream of each token of `before`
    # In lexicographic order, no earlier sample shares more with a sample than the one just before.
    for i in sorted(range(len(samples)), key=inputs.__getitem__):
        ids = inputs[i]
        shared = common_prefix(before, ids)
        shared = shared if shared >= min_shared else 0
        start, new = len(tokens), len(ids) - shared
        if new:
            rows.append(Row(start, start + new, _ranges(path[:shared])))
            tokens += ids[shared:]
            positions += range(shared, len(ids))
        path = path[:shared] + list(range(start, start + new))
        before = ids
        sources[i] = path[len(samples[i].prompt_ids) - 1 :]
    return Layout(tokens, positions, rows, sources)


def packed_batches(
    samples: Sequence[Sample], max_tokens: int, min_shared: int = MIN_SHARED, ranks: int = 1
) -> list[list[int]]:
    """Indices of `samples` in groups of at most `max_tokens` stream tokens, of about equal size.

    Samples that share a beginning are neighbours. A sample longer than the limit comes alone.
    Every index comes exactly once. As many groups as the limit needs, rounded up so that each of
    `ranks` processes gets equally many, as far as samples can be told apart.
    """
    inputs = [_input(s) for s in samples]
    order = sorted(range(len(samples)), key=inputs.__getitem__)
    full = _fill(inputs, order, max_tokens, min_shared)
    total = sum(tokens for _, tokens in full)
    wanted = -(-len(full) // ranks) * ranks
    # As few groups as the limit allows, but not a small one after full ones: the largest decides
    # how much memory is needed.
    first = -(-total // max(1, wanted))
    for limit in range(first, max_tokens, max(1, (max_tokens if ranks == 1 else first) // 16)):
        even = _fill(inputs, order, limit, min_shared)
        if len(even) <= wanted:
            return [group for group, _ in even]
    return [group for group, _ in full]


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """How many leading items are equal."""
    shortest = min(len(a), len(b))
    return next((i for i in range(shortest) if a[i] != b[i]), shortest)


def _input(sample: Sample) -> tuple[int, ...]:
    return sample.prompt_ids + sample.token_ids[:-1]


def _fill(
    inputs: Sequence[tuple[int, ...]], order: Sequence[int], limit: int, min_shared: int
) -> list[tuple[list[int], int]]:
    """Groups with their stream tokens: neighbours in `order` as long as they fit."""
    groups: list[tuple[list[int], int]] = []
    before: tuple[int, ...] = ()
    for i in order:
        shared = common_prefix(before, inputs[i])
        new = len(inputs[i]) - (shared if shared >= min_shared else 0)
        if groups and groups[-1][1] + new <= limit:
            group, tokens = groups.pop()
            groups.append(([*group, i], tokens + new))
        else:
            groups.append(([i], len(inputs[i])))
        before = inputs[i]
    return groups


def _ranges(path: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Places in the stream as half-open ranges of consecutive ones."""
    found: list[tuple[int, int]] = []
    for place in path:
        if found and found[-1][1] == place:
            found[-1] = (found[-1][0], place + 1)
        else:
            found.append((place, place + 1))
    return tuple(found)
