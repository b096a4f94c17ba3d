"""The prompts that a new version of the weights is tried with.

They are the same every time and have a long beginning in common, longer than a block of the prefix
cache, so that a cache of the old weights would show in the answers.
"""

from __future__ import annotations

from mars2.agents.codec import Codec
from mars2.types import Message, Sampling

PROBE_SAMPLING = Sampling(temperature=1.0, top_p=1.0, max_tokens=24)

_BEGINNING = (
    "You are given a list of integers and have to write a Python function that a careful "
    "programmer would be glad to read. The list may be empty, may hold negative numbers and "
    "the same number several times, and must not be changed. Use the standard library only, "
    "do not print anything, and return the result. Think about the empty list first: say in "
    "the docstring what is returned for it. Name the function solve; it takes the list as its"
    " only argument. For example, the list [3, -1, 4, -1, 5] has five elements, its largest "
    "is 5, its smallest is -1, and -1 comes twice. Write the function and nothing else: no "
    "explanation before it, no tests after it, no comments that repeat what the code says. "
    "The function shall return "
)
_ENDS = (
    "the sum of the list.",
    "the largest element.",
    "the list in reverse order.",
    "how many elements are negative.",
)


def probe_prompts(codec: Codec) -> list[list[int]]:
    """Token ids of the prompts, cut to half of a short context."""
    most = codec.context // 2 if codec.context else None
    return [codec.encode([Message("user", _BEGINNING + end)])[:most] for end in _ENDS]
