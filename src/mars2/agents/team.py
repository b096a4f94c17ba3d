"""From the agents' settings to a team: policies loaded once, agents seeing them through roles."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mars2.agents.base import Agent, Policy
from mars2.agents.roles import make_role
from mars2.agents.spec import parse_spec
from mars2.config import AgentConfig, VllmConfig
from mars2.errors import AgentSpecError, CapabilityError, UsageError

_TRAINABLE = ("hf", "micro", "vllm")
_SHARED = ("spec", "dtype", "device", "max_batch", "train")  # settings of a policy, not of an agent


@dataclass(frozen=True, slots=True)
class Team:
    """The agents of a run, in the order given, and the policies behind them by name."""

    agents: dict[str, Agent]
    policies: dict[str, Policy]

    async def aclose(self) -> None:
        """Close every policy once, also if closing another one fails."""
        results = await asyncio.gather(
            *(policy.aclose() for policy in self.policies.values()), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result


def build_team(
    agents: Sequence[AgentConfig],
    *,
    train: bool = False,
    vllm: VllmConfig | None = None,
    make: Callable[[str, AgentConfig], Policy] | None = None,
) -> Team:
    """Load the policies and make the agents. Everything is checked before anything is loaded.

    Agents with the same `policy` name (default: the spec itself) share one policy.

    Args:
        train: at least one agent must be able to learn, and all that are told to.
        vllm: settings of servers that `vllm:` agents need.
        make: makes the policy of a name, `make_policy` by default.

    Raises:
        UsageError: no agents, or a name twice.
        AgentSpecError: unknown backend, model or role; one policy name with different settings.
        CapabilityError: `train` with nobody who learns, or an agent told to that cannot.
    """
    if not agents:
        raise UsageError("a team needs at least one agent: --agent NAME=BACKEND:MODEL[@URL]")
    owners: dict[str, AgentConfig] = {}
    roles = {}
    for config in agents:
        if config.name in roles:
            raise UsageError(f"the agent name {config.name!r} is used more than once")
        roles[config.name] = make_role(config)
        parse_spec(config.spec)
        owner = owners.setdefault(config.policy or config.spec, config)
        for field in _SHARED:
            mine, theirs = getattr(config, field), getattr(owner, field)
            if mine != theirs:
                raise AgentSpecError(
                    f"agents {owner.name!r} and {config.name!r} share the policy "
                    f"{config.policy or config.spec!r} but differ in {field}: "
                    f"{theirs!r} and {mine!r}"
                )
    if train:
        _check_learning(agents)
    if vllm is not None:
        _check_devices(vllm, owners)
    made = make or (lambda name, config: make_policy(name, config, vllm))
    policies = {name: made(name, config) for name, config in owners.items()}
    _share_cores(policies.values())
    return Team(
        agents={c.name: Agent(c.name, policies[c.policy or c.spec], roles[c.name]) for c in agents},
        policies=policies,
    )


def _check_devices(vllm: VllmConfig, owners: Mapping[str, AgentConfig]) -> None:
    """Raises AgentSpecError for `vllm.devices` of a policy that has no server of ours."""
    for name in vllm.devices:
        spec = parse_spec(owners[name].spec) if name in owners else None
        if spec is None or spec.backend != "vllm" or spec.url:
            served = [n for n, c in owners.items() if c.spec.startswith("vllm:")]
            raise AgentSpecError(
                f"vllm.devices names {name!r}, which is no policy whose vLLM server is started "
                f"here; vllm: policies are {', '.join(map(repr, served)) or 'none'}"
            )


def _check_learning(agents: Sequence[AgentConfig]) -> None:
    """Raises CapabilityError for a team in which nobody learns, or not whoever was told to."""
    why_not = {}
    for config in agents:
        backend = parse_spec(config.spec).backend
        if backend not in _TRAINABLE:
            why_not[config.name] = (
                f"agent {config.name!r} ({config.spec}) cannot be trained: a {backend}: policy "
                "gives no token ids with log-probabilities and its weights are not in this process"
            )
            if config.train:
                raise CapabilityError(f"{why_not[config.name]}; leave out its train = true")
        elif config.train is False:
            why_not[config.name] = f"agent {config.name!r} is frozen (train = false)"
    if len(why_not) == len(agents):
        reasons = "\n  ".join(why_not.values())
        raise CapabilityError(
            f"nobody in this team learns; add an hf:, vllm: or micro: agent\n  {reasons}"
        )


def _share_cores(policies: Iterable[Policy]) -> None:
    """Several policies on the CPU work at the same time: without shares their threads would
    fight for the same cores. A count set in the environment wins.
    """
    local = sum(getattr(getattr(p, "model", None), "device", None) is not None for p in policies)
    if local < 2 or "OMP_NUM_THREADS" in os.environ:
        return
    import torch

    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // local))


def make_policy(name: str, config: AgentConfig, vllm: VllmConfig | None = None) -> Policy:
    """Load the policy that an agent's spec names; heavy backends are imported only here.

    Raises:
        AgentSpecError: unknown backend or model, or a missing extra, which is named.
    """
    spec = parse_spec(config.spec)
    if spec.backend == "openai":
        from mars2.agents.openai import OpenAIPolicy

        return OpenAIPolicy(name, spec.model, base_url=spec.url)
    if spec.backend == "scripted":
        from mars2.agents.scripted import load_scripted

        return load_scripted(name, spec.model)
    try:
        from mars2.agents import hf
    except ModuleNotFoundError as error:
        raise AgentSpecError(
            f"{config.spec} needs the package {error.name!r}: pip install 'mars2[hf]'"
        ) from error
    if spec.backend == "vllm":
        from mars2.agents.vllm.load import load_vllm

        return load_vllm(
            name,
            spec.model,
            spec.url,
            settings=vllm or VllmConfig(),
            dtype=config.dtype,
            device=config.device,
            max_batch=config.max_batch,
        )
    load = hf.load_micro if spec.backend == "micro" else hf.load_hf
    return load(
        name,
        spec.model,
        dtype=config.dtype,
        device=config.device,
        max_batch=config.max_batch,
    )
