"""Options that several commands share, and how they become one RunConfig."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from mars2.agents.spec import parse_agent
from mars2.config import RunConfig, load_config
from mars2.config.presets import preset, preset_names
from mars2.config.telemetry import TelemetryConfig
from mars2.errors import UsageError

TELEMETRY = ("log_file", "log_format", "log_level", "metrics_port", "metrics_host")
"""Settings of `telemetry` that have an option of that name."""

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


class Ks(click.ParamType):
    """`1,4,8`: whole numbers of at least 1."""

    name = "K,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[int]:
        try:
            ks = sorted({int(k) for k in str(value).split(",")})
        except ValueError:
            self.fail(f"{value!r} is no list of numbers such as 1,4,8", param, ctx)
        if ks[0] < 1:
            self.fail(f"pass@{ks[0]} does not exist: k is at least 1", param, ctx)
        return ks


def json_option(command: F) -> F:
    """`--json`."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Machine-readable on stdout, the rest on stderr."
    )(command)


def config_options(command: F) -> F:
    """`--config`, `--set`, `--seed`, `--agent` and what applies to every --agent."""
    for option in (
        click.option(
            "--dtype",
            type=click.Choice(["float32", "bfloat16"]),
            help="Weights of every hf: or micro: --agent.",
        ),
        click.option("--max-tokens", type=int, help="Output limit of every --agent."),
        click.option("--temperature", type=float, help="Temperature of every --agent."),
        click.option(
            "--role",
            "roles",
            multiple=True,
            metavar="NAME=ROLE",
            help="Role of an agent (repeatable).",
        ),
        click.option(
            "--agent",
            "agents",
            multiple=True,
            metavar="[NAME=]BACKEND:MODEL[@URL]",
            help="An agent (repeatable); equal specs share one set of weights.",
        ),
        click.option("--seed", type=int, help="Seed of everything drawn in the run."),
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="KEY=VALUE",
            help="Override a setting, for example --set search.nodes=16 (repeatable).",
        ),
        click.option(
            "--config",
            "config_path",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Settings as TOML.",
        ),
    ):
        command = option(command)
    return command


def telemetry_options(command: F) -> F:
    """`--log-*` and `--metrics-*`, for commands that run for long."""
    for option in (
        click.option("--metrics-host", help="Address of --metrics-port [127.0.0.1]."),
        click.option(
            "--metrics-port",
            type=click.IntRange(0, 65535),
            help="Serve Prometheus metrics here (0: any free port).",
        ),
        click.option(
            "--log-level",
            type=click.Choice(get_args(TelemetryConfig.model_fields["log_level"].annotation)),
            help="What the log keeps [info].",
        ),
        click.option(
            "--log-format",
            type=click.Choice(get_args(TelemetryConfig.model_fields["log_format"].annotation)),
            help="Of the log [json].",
        ),
        click.option("--log-file", help="The log; - is stderr [log.jsonl in the run directory]."),
    ):
        command = option(command)
    return command


def runtime_options(command: F) -> F:
    """`--runtime` and `--ray-address`, for commands that train."""
    for option in (
        click.option(
            "--ray-address",
            metavar="HOST:PORT",
            help="Ray cluster of --runtime ray; auto: the one here [a cluster of the run's own].",
        ),
        click.option(
            "--runtime",
            type=click.Choice(["local", "ray"]),
            help="Where policies, learners and verifiers compute [local: in this process].",
        ),
    ):
        command = option(command)
    return command


def preset_option(command: F) -> F:
    """`--preset`, for commands whose settings do not come with the package already."""
    return click.option(
        "--preset",
        type=click.Choice(preset_names()),
        help="Settings by name, below those of --config and --set.",
    )(command)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the shared options said; `resolve` makes one RunConfig of it."""

    preset: str | None = None
    config_path: Path | None = None
    overrides: tuple[str, ...] = ()
    seed: int | None = None
    agents: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    temperature: float | None = None
    max_tokens: int | None = None
    dtype: str | None = None
    log_file: str | None = None
    log_format: str | None = None
    log_level: str | None = None
    metrics_port: int | None = None
    metrics_host: str | None = None
    runtime: str | None = None
    ray_address: str | None = None

    def resolve(self, base: dict[str, Any] | None = None, **forced: Any) -> RunConfig:
        """Command line over file over preset over defaults.

        Args:
            base: takes the place of the preset.
            forced: dotted settings from a command's own options (`search.nodes` as
                `search__nodes`); None leaves the setting alone.

        Raises:
            ConfigError: bad file, key or value.
            AgentSpecError: an unusable `--agent`.
            UsageError: a `--role` for an agent that is not in the team.
        """
        if base is None and self.preset is not None:
            base = preset(self.preset)
        config = load_config(self.config_path, self.overrides, base)
        data = config.model_dump()
        if self.seed is not None:
            data["seed"] = self.seed
        if self.agents:
            data["agents"] = self._agents()
        self._assign_roles(data["agents"])
        for key in TELEMETRY:
            forced[f"telemetry__{key}"] = getattr(self, key)
        forced |= {"runtime__kind": self.runtime, "runtime__address": self.ray_address}
        for key, value in forced.items():
            if value is not None:
                section, _, name = key.partition("__")
                data[section][name] = value
        if self.ray_address is not None and data["runtime"]["kind"] != "ray":
            raise UsageError("--ray-address needs --runtime ray")
        return load_config(base=data)

    def _agents(self) -> list[dict[str, Any]]:
        given = {
            name: value
            for name in ("temperature", "max_tokens", "dtype")
            if (value := getattr(self, name)) is not None
        }
        return [parse_agent(text).model_dump() | given for text in self.agents]

    def _assign_roles(self, agents: list[dict[str, Any]]) -> None:
        by_name = {a["name"]: a for a in agents}
        for item in self.roles:
            name, sep, role = item.partition("=")
            if not sep or not role:
                raise UsageError(f"--role {item!r}: write it as NAME=ROLE")
            if name not in by_name:
                raise UsageError(
                    f"--role {item!r}: no agent is called {name!r}; the team has "
                    f"{', '.join(by_name) or 'no agents'}"
                )
            by_name[name]["role"] = role


def chosen(kwargs: dict[str, Any]) -> Chosen:
    """Take the shared options out of a command's keyword arguments."""
    return Chosen(**{f.name: kwargs.pop(f.name) for f in fields(Chosen) if f.name in kwargs})


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine; Ctrl-C cancels it and surfaces as KeyboardInterrupt."""
    return asyncio.run(work)
