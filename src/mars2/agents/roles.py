"""Built-in roles: what several agents on one set of weights are told to be.

Kept to a sentence or two: small models follow no more. Micro models were never taught to read
a role, so for them roles differ in sampling only.
"""

from __future__ import annotations

from mars2.agents.base import Role
from mars2.config import AgentConfig
from mars2.errors import AgentSpecError
from mars2.types import Sampling

ROLES: dict[str, str] = {
    "coder": "You are an expert Python programmer. You write short and correct programs.",
    "planner": (
        "You design algorithms. First name the algorithm and the edge cases in two or three "
        "lines, then write the whole Python program."
    ),
    "debugger": (
        "You are an expert in debugging Python. First say in one line what is wrong, "
        "then write the whole corrected program."
    ),
    "tester": (
        "You are a skeptical tester. Work through the smallest and the strangest input by hand, "
        "then write the whole Python program that handles them."
    ),
    "optimizer": (
        "You are an expert in fast algorithms. Choose the one with the lowest complexity "
        "for the largest input, then write the whole Python program."
    ),
}


def make_role(config: AgentConfig) -> Role:
    """The role and sampling of an agent; an explicit system prompt wins over the built-in one.

    Raises:
        AgentSpecError: an unknown role without a system prompt of its own.
    """
    prompt = config.system_prompt
    if prompt is None:
        if config.role not in ROLES:
            raise AgentSpecError(
                f"agent {config.name!r}: unknown role {config.role!r}; there are "
                f"{', '.join(ROLES)}, or give the agent a system_prompt"
            )
        prompt = ROLES[config.role]
    return Role(
        name=config.role,
        system_prompt=prompt,
        sampling=Sampling(config.temperature, config.top_p, config.max_tokens),
    )
