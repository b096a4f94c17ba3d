"""Nodes as JSON, for journals: an exact round trip, token ids and log-probabilities included.

JSON numbers are written with Python's shortest exact representation, so floats come back bit
for bit; a non-finite float is written as NaN or ±Infinity, which Python's reader accepts.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from mars2.errors import ResumeError
from mars2.search.lines import decode
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
    parts = dict(data)
    generation = dict(parts.pop("generation"))
    prompt_tokens, completion_tokens = generation.pop("usage")
    for key in ("prompt_ids", "token_ids", "logprobs"):
        if generation[key] is not None:
            generation[key] = tuple(generation[key])
    return Node(
        prompt=tuple(Message(role, content) for role, content in parts.pop("prompt")),
        generation=Generation(usage=Usage(prompt_tokens, completion_tokens), **generation),
        verdict=Verdict.model_validate(parts.pop("verdict")),
        **parts,
    )


class StoredNode(Node):
    """A node whose texts, code and verdict are decoded when one of them is first looked at.

    Make it with `stored_node`. It is equal to the whole node.
    """

    __slots__ = ("_written",)

    _LATER = ("prompt", "generation", "code", "verdict")

    def __getattr__(self, name: str) -> Any:
        # Reached for slots that are not set.
        if name not in self._LATER:
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}", obj=self)
        try:
            node = node_from_json(decode(self._written))
        except (KeyError, TypeError, ValueError) as error:
            raise ResumeError(
                f"node {self.node_id} of tree {self.tree_id!r} cannot be read from its journal: "
                f"{error}"
            ) from error
        for later in self._LATER:
            object.__setattr__(self, later, getattr(node, later))
        object.__delattr__(self, "_written")
        return getattr(self, name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Node):
            return NotImplemented
        return all(getattr(self, f.name) == getattr(other, f.name) for f in fields(Node))

    __hash__ = Node.__hash__


def stored_node(tree_id: str, expansion: Expansion, reward: float, written: bytes) -> StoredNode:
    """The node of this expansion that `node_to_json` wrote, in bytes, not decoded yet."""
    node = StoredNode.__new__(StoredNode)
    put = object.__setattr__
    put(node, "tree_id", tree_id)
    put(node, "node_id", expansion.node_id)
    put(node, "parent_id", expansion.parent_id)
    put(node, "depth", expansion.depth)
    put(node, "agent", expansion.agent)
    put(node, "action", expansion.action)
    put(node, "reward", reward)
    put(node, "_written", written)
    return node


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
