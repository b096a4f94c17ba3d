"""Nodes as JSON, for journals: an exact round trip, token ids and log-probabilities included.

JSON numbers are written with Python's shortest exact representation, so floats come back bit
for bit; a non-finite float is written as NaN or ±Infinity, which Python's reader accepts.
"""

from __future__ import annotations

from typing import Any

from mars2.types import Expansion, Generation, Message, Node, Usage, Verdict


def node_to_json(node: Node) -> dict[str, Any]:
    """A dict of JSON types holding the whole node."""
    generation = node.generation
    return {
        "tree_id": node.tree_id,
        "node_id": node.node_id,
        "parent_id": node.parent_id,
        "depth": node.depth,
        "agent": node.agent,
        "action": node.action,
        "reward": node.reward,
        "code": node.code,
        "prompt": [[message.role, message.content] for message in node.prompt],
        "generation": {
            "text": generation.text,
            "finish_reason": generation.finish_reason,
            "prompt_ids": _list(generation.prompt_ids),
            "token_ids": _list(generation.token_ids),
            "logprobs": _list(generation.logprobs),
            "policy_version": generation.policy_version,
            "usage": [generation.usage.prompt_tokens, generation.usage.completion_tokens],
            "seconds": generation.seconds,
        },
        "verdict": node.verdict.model_dump(mode="json", exclude_defaults=True),
    }


def node_from_json(data: dict[str, Any]) -> Node:
    """The node that `node_to_json` wrote.

    Raises:
        KeyError, TypeError, ValueError: `data` is not such a dict.
    """
    fields = dict(data)
    generation = dict(fields.pop("generation"))
    prompt_tokens, completion_tokens = generation.pop("usage")
    for key in ("prompt_ids", "token_ids", "logprobs"):
        if generation[key] is not None:
            generation[key] = tuple(generation[key])
    return Node(
        prompt=tuple(Message(role, content) for role, content in fields.pop("prompt")),
        generation=Generation(usage=Usage(prompt_tokens, completion_tokens), **generation),
        verdict=Verdict.model_validate(fields.pop("verdict")),
        **fields,
    )


def expansion_to_json(expansion: Expansion) -> dict[str, Any]:
    """A dict of JSON types holding the whole expansion."""
    return {
        "node_id": expansion.node_id,
        "parent_id": expansion.parent_id,
        "depth": expansion.depth,
        "agent": expansion.agent,
        "action": expansion.action,
        "references": list(expansion.references),
    }


def expansion_from_json(data: dict[str, Any]) -> Expansion:
    """The expansion that `expansion_to_json` wrote; other keys are ignored.

    Raises:
        KeyError, TypeError: a key is missing, or `references` is no list.
    """
    return Expansion(
        node_id=data["node_id"],
        parent_id=data["parent_id"],
        depth=data["depth"],
        agent=data["agent"],
        action=data["action"],
        references=tuple(data["references"]),
    )


def _list(values: tuple[Any, ...] | None) -> list[Any] | None:
    return None if values is None else list(values)
