"""Settings of a run: TOML file, `--set key=value` on top, unknown keys refused by name.

Every part takes its own section and nothing else. Values that come from a paper name it.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from mars2.config.objective import CreditConfig, ObjectiveConfig
from mars2.config.refusal import explain
from mars2.config.runtime import RuntimeConfig
from mars2.config.section import Section
from mars2.config.telemetry import TelemetryConfig
from mars2.config.vllm import VllmConfig
from mars2.errors import ConfigError


class AgentConfig(Section):
    """An agent: a policy seen through a role.

    `spec` is BACKEND:MODEL[@URL]. Agents with the same `policy` name share one set of weights
    (several roles on one policy); the name defaults to the spec, so equal specs are shared.
    """

    name: str = Field(min_length=1, pattern=r"^[A-Za-z0-9_.-]+$")
    spec: str = Field(min_length=1)
    policy: str | None = None
    role: str = "coder"
    system_prompt: str | None = None
    temperature: float = Field(default=1.0, gt=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: int = Field(default=1024, gt=0)
    # Of policies in this process (hf:, micro:) and on vLLM's servers (vllm:); agents on one policy
    # must agree on them. `device` of a vllm: agent is where its learner computes.
    dtype: Literal["float32", "bfloat16"] = "float32"
    device: str = "auto"  # "auto": CUDA if there is one, else CPU
    max_batch: int = Field(default=64, gt=0)  # requests answered together
    # Agents on one policy agree on it, too. False: takes part in trees but never changes; None:
    # learns if its weights are in this process.
    train: bool | None = None
    # What a million tokens cost, in any currency; see `BudgetConfig`.
    price_prompt: float = Field(default=0.0, ge=0)
    price_completion: float = Field(default=0.0, ge=0)


class ProblemsConfig(Section):
    """Where problems come from: sources as `mars2 problems list` shows them.

    `difficulty`, `since` and `until` choose training problems; `skip_bad` leaves bad rows out.
    """

    train: str = "builtin"
    heldout: str | None = None
    limit: int | None = Field(default=None, gt=0)
    heldout_limit: int | None = Field(default=None, gt=0)
    difficulty: str | None = None
    since: str | None = None
    until: str | None = None
    skip_bad: bool = False


class SearchConfig(Section):
    """Tree search (DESIGN §4.1; AB-MCTS, arXiv 2503.04412)."""

    strategy: Literal[
        "ab-mcts", "repeated", "sequential", "mcts", "best-of-n", "debate", "mixture"
    ] = "ab-mcts"
    nodes: int = Field(default=8, gt=0)  # budget of one tree
    in_flight: int = Field(default=2, gt=0)  # expansions of one tree under way at once
    concurrency: int = Field(default=64, gt=0)  # expansions of all trees under way at once
    arm: Literal["beta", "gaussian"] = "beta"
    agent_choice: Literal["thompson", "node", "ucb1"] = "thompson"
    stop_on_success: bool = False  # end a tree at its first reward of 1
    # MARS²-T+ (arXiv 2602.07848): at depth d a GEN draw is multiplied by (gamma rho^d)^c, where c
    # is the number of nodes already generated at depth d + 1.
    depth_guided: bool = False
    depth_gamma: float = Field(default=0.98, gt=0, le=1)
    depth_rho: float = Field(default=0.9, gt=0, le=1)
    error_feedback: bool = True  # refinement prompts tell what failed
    branching: int = Field(default=3, gt=0)  # mcts: children of a node
    exploration: float = Field(default=1.0, ge=0)  # mcts: c of PUCT


class BudgetConfig(Section):
    """What a search may spend besides `search.nodes`, of one problem and of the whole run.

    Cost is in the currency of the agents' prices. A spent budget starts nothing new; what is
    under way ends.
    """

    problem_tokens: int | None = Field(default=None, gt=0)  # prompt and completion
    problem_seconds: float | None = Field(default=None, gt=0)
    problem_cost: float | None = Field(default=None, gt=0)
    nodes: int | None = Field(default=None, gt=0)
    tokens: int | None = Field(default=None, gt=0)
    seconds: float | None = Field(default=None, gt=0)
    cost: float | None = Field(default=None, gt=0)
    reallocate: bool = False  # what solved problems leave goes to unsolved ones


class InferenceConfig(Section):
    """How the answer is chosen among the nodes that the public tests cannot tell apart.

    `selector`: "public" by most frequent program text; "agreement" by equal behaviour on
    generated inputs; "reward-model"; "combined" by the sum of the reward model's probabilities
    in each group of equal behaviour. A reward model may also be mixed into node rewards (off by
    default: it was trained on trees that were grown without it).
    """

    selector: Literal["public", "agreement", "reward-model", "combined"] = "public"
    reward_model: str | None = None  # directory that `mars2 reward-model train` wrote
    reward_model_weight: float = Field(default=0.0, ge=0, le=1)


class VerifierConfig(Section):
    """How programs are judged; a problem's own limits win over these.

    `profile` "native" is a real `python program.py < input`; "lcb" gives LiveCodeBench's official
    verdicts, quirks included. `isolation` is the least level that a run accepts. `backend` is
    "local", "bwrap", or the URL of a SandboxFusion server. `packages` are the distributions that
    programs may import besides the standard library, where installed. `cache` keeps verdicts of
    identical (program, tests, limits): "off", "memory", or a directory for them to outlive the run.
    """

    profile: Literal["native", "lcb"] = "native"
    backend: str = "local"
    isolation: Literal["basic", "restricted", "strict"] = "basic"
    workers: int = Field(default=2, gt=0)
    time_limit_s: float = Field(default=6.0, gt=0)
    memory_limit_mb: int = Field(default=512, ge=16)
    output_limit_kb: int = Field(default=1024, gt=0)
    processes: int = Field(default=16, ge=0)
    packages: list[str] = Field(
        default=["numpy", "scipy", "pandas", "sympy", "networkx", "sortedcontainers"]
    )
    cache: str = "memory"


class LearnerConfig(Section):
    """One learner a policy.

    `precision` "bfloat16": matrix products in bfloat16 (autocast); weights, gradients and optimizer
    stay float32. `activation_checkpointing` true computes every layer again in the backward pass
    instead of keeping what it computed; "light" keeps matrix products and attention; "auto" keeps
    what fits beside weights, gradients and moments (docs/learner.md). `lora_rank` above 0
    trains low-rank adapters (arXiv 2106.09685) on the layers named in `lora_targets` instead of all
    weights, scaled by lora_alpha / lora_rank. `shards` above 1 spreads weights, gradients and
    optimizer state of every learner over as many processes (docs/sharded.md).
    """

    lr: float = Field(default=1e-6, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    warmup_steps: int = Field(default=0, ge=0)  # real optimizer steps
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    max_grad_norm: float = Field(default=1.0, gt=0)
    minibatches: int = Field(default=1, gt=0)  # optimizer steps an update
    # Tokens of one forward and backward pass, counted as they are computed: a shared prompt once.
    micro_batch_tokens: int = Field(default=4096, gt=0)
    min_samples: int = Field(default=2, gt=0)  # fewer usable samples wait in the buffer
    precision: Literal["float32", "bfloat16"] = "float32"
    activation_checkpointing: bool | Literal["light", "auto"] = "auto"
    lora_rank: int = Field(default=0, ge=0)
    lora_alpha: float = Field(default=32.0, gt=0)
    lora_targets: Literal["all-linear"] | list[str] = "all-linear"
    shards: int = Field(default=1, gt=0)

    @model_validator(mode="after")
    def _can_be_sharded(self) -> LearnerConfig:
        if self.shards > 1 and self.lora_rank:
            raise ValueError(
                f"shards is {self.shards} and lora_rank {self.lora_rank}, but adapters cannot be "
                "sharded: set learner.lora_rank = 0 to train all weights, or learner.shards = 1"
            )
        return self


class TrainConfig(Section):
    """The training loop (docs/training.md).

    `mode` "sync": every step grows its trees with one version of each policy, then all learn.
    "async": trees are always under way, and a policy learns as soon as its buffer holds a batch.
    A step has ended when `trees_per_step` informative trees have come in, or all the replacements
    that `refill_rounds` allows. "auto" keeps the best by held-out pass@1 where `eval_every` has it
    measured, else by training reward.
    """

    mode: Literal["sync", "async"] = "sync"
    steps: int = Field(default=20, gt=0)
    trees_per_step: int = Field(default=16, gt=0)
    refill_rounds: int = Field(default=1, ge=0)  # times trees_per_step: most replacements a step
    curriculum: Literal["shuffle", "difficulty"] = "shuffle"
    batch_samples: int | None = Field(default=None, gt=0)  # of an update; None: a step's worth
    open_trees: int | None = Field(default=None, gt=0)  # async: under way; None: trees_per_step
    max_staleness: int = Field(default=2, ge=0)  # versions
    checkpoint_every: int = Field(default=1, gt=0)
    keep_checkpoints: int = Field(default=2, gt=0)
    keep_best: Literal["auto", "heldout", "reward", "off"] = "auto"
    eval_every: int = Field(default=0, ge=0)  # 0: before and after only
    time_budget_s: float | None = Field(default=None, gt=0)
    trackers: list[Literal["tensorboard", "wandb", "trackio"]] = Field(default=[])


class EvalConfig(Section):
    """Evaluation on held-out problems."""

    samples: int = Field(default=4, gt=0)  # independent first attempts an agent and problem
    nodes: int = Field(default=16, gt=0)  # tree budget of the team
    bootstrap: int = Field(default=2000, gt=0)


class RunConfig(Section):
    """Everything a run needs; written whole into its directory."""

    seed: int = 0
    agents: list[AgentConfig] = Field(default=[])
    problems: ProblemsConfig = ProblemsConfig()
    search: SearchConfig = SearchConfig()
    budget: BudgetConfig = BudgetConfig()
    inference: InferenceConfig = InferenceConfig()
    verifier: VerifierConfig = VerifierConfig()
    credit: CreditConfig = CreditConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    learner: LearnerConfig = LearnerConfig()
    train: TrainConfig = TrainConfig()
    eval: EvalConfig = EvalConfig()
    telemetry: TelemetryConfig = TelemetryConfig()
    vllm: VllmConfig = VllmConfig()
    runtime: RuntimeConfig = RuntimeConfig()

    @model_validator(mode="after")
    def _unique_agents(self) -> RunConfig:
        names = [a.name for a in self.agents]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"agents: the name {twice[0]!r} is used more than once")
        return self

    @model_validator(mode="after")
    def _batch_is_a_batch(self) -> RunConfig:
        if self.credit.scale_rewards == "batch" and self.train.mode == "async":
            raise ValueError(
                'credit.scale_rewards is "batch", but with train.mode = "async" trees are credited '
                'one by one and there is no batch: set one to "group" or the other to "sync"'
            )
        return self

    @model_validator(mode="after")
    def _overlong_can_happen(self) -> RunConfig:
        spans = []
        for agent in self.agents:
            try:
                limits = self.credit.overlong_limits(agent.max_tokens)
            except ValueError as error:
                raise ValueError(f"credit: agent {agent.name!r}: {error}") from None
            spans.append(limits is None or limits[0] - limits[1] < agent.max_tokens)
        if spans and not any(spans):
            longest = max(a.max_tokens for a in self.agents)
            raise ValueError(
                f"credit: the overlong penalty begins above {longest} tokens, which no agent may "
                "write: set credit.overlong_max to the agents' max_tokens, or leave it out and "
                "each agent's own counts"
            )
        return self

    def digest(self) -> str:
        """SHA-256 of the canonical JSON of all settings that decide what a run computes, first 16
        hex digits; see `free_on_resume`."""
        data = self.model_dump(mode="json")
        for key in free_on_resume(self):
            section, _, name = key.partition(".")
            del data[section][name]
            if not data[section]:  # all of it is free: as if it were not there
                del data[section]
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def load_config(
    path: Path | None = None,
    overrides: Sequence[str] = (),
    base: dict[str, Any] | None = None,
) -> RunConfig:
    """Command line over file over `base` over defaults.

    Raises ConfigError for a missing file, bad TOML, an unknown key or a bad value, naming each.
    """
    data: dict[str, Any] = {}
    _merge(data, base or {})
    if path is not None:
        _merge(data, _read_toml(path))
    for item in overrides:
        _merge(data, _parse_override(item))
    try:
        return RunConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigError(explain(error, path)) from None


_FREE = (
    "learner.activation_checkpointing",
    "learner.shards",
    "train.checkpoint_every",
    "train.eval_every",
    "train.keep_best",
    "train.keep_checkpoints",
    "train.time_budget_s",
    "train.trackers",
    *(f"telemetry.{name}" for name in TelemetryConfig.model_fields),
    *(f"vllm.{name}" for name in VllmConfig.model_fields if name != "max_model_len"),
    *(f"runtime.{name}" for name in RuntimeConfig.model_fields),
)


def free_on_resume(config: RunConfig) -> list[str]:
    """Dotted names of the settings that may change when a run is resumed: they say when to stop,
    how much to keep or where to show it, never what comes out. `train.steps` is one of them as
    long as the learning rate is constant; otherwise it is where the rate ends, and it must not rise
    again.
    """
    return [*_FREE, "train.steps"] if config.learner.schedule == "constant" else list(_FREE)


def changed_keys(old: RunConfig, new: RunConfig, but: Sequence[str] = ()) -> list[str]:
    """Dotted names of settings that differ, with both values, for resume messages.

    Args:
        but: names that are left out, with what is in them.
    """
    flat_old, flat_new = (
        _flatten(old.model_dump(mode="json")),
        _flatten(new.model_dump(mode="json")),
    )
    left_out = tuple(f"{name}." for name in but)
    return [
        f"{k}: {flat_old.get(k)!r} -> {flat_new.get(k)!r}"
        for k in sorted(flat_old.keys() | flat_new.keys())
        if not f"{k}.".startswith(left_out) and flat_old.get(k) != flat_new.get(k)
    ]


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"config file {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"config file {path} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"config file {path} is not valid TOML: {error}") from None


def _parse_override(item: str) -> dict[str, Any]:
    key, sep, raw = item.partition("=")
    key = key.strip()
    if not sep or not key:
        raise ConfigError(f"--set {item!r}: write it as section.key=value")
    try:
        value = tomllib.loads(f"v = {raw}")["v"]
    except tomllib.TOMLDecodeError:
        value = raw  # a bare word is a string
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


def _merge(into: dict[str, Any], new: dict[str, Any]) -> None:
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _flatten(data: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(data, dict):
        items: Any = data.items()
    elif isinstance(data, list) and data:
        items = enumerate(data)
    else:
        return {prefix: data}
    flat: dict[str, Any] = {}
    for key, value in items:
        flat.update(_flatten(value, f"{prefix}.{key}" if prefix else str(key)))
    return flat
