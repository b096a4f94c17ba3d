"""On what a run would run: the description that `mars2 plan` reads beside the settings.

The settings of a run say little of the machines it is for. What a plan needs besides is in a file
of its own.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from mars2.config.section import Section
from mars2.errors import ConfigError
from mars2.plan.hardware import Device, device
from mars2.plan.workload import Workload


class Layout(Section):
    """Hardware and placement.

    `engine` "process": every policy's generating copy and learner on the device that its agents
    name, all in one process. "sharded": every policy has `count` / policies devices to itself,
    `generate_share` of them serving (continuous batching, `tensor_parallel` devices a replica) and
    the others sharing one learner (FSDP2): `vllm:` policies with `vllm.devices`, and
    `learner.shards`. With several policies the learners of a run share all devices that learn,
    which takes as much memory of each and time in all.
    """

    device: Device
    count: int = Field(default=1, gt=0)
    engine: Literal["process", "sharded"] = "process"
    generate_share: float = Field(default=0.5, gt=0, lt=1)
    tensor_parallel: int = Field(default=1, gt=0)
    cache_share: float = Field(default=0.9, gt=0, lt=1)  # of a serving device's memory, all in all
    workload: Workload = Workload()


def parse_hardware(text: str) -> tuple[Device, int]:
    """NAME:COUNT, or NAME alone for one.

    Raises:
        ConfigError: unknown name or a count that is none.
    """
    name, _, count = text.partition(":")
    if count and not (count.isdecimal() and int(count)):
        raise ConfigError(f"--hardware {text!r}: write it as NAME:COUNT, for example h100:8")
    return device(name), int(count or 1)


def load_layout(path: Path) -> Layout:
    """From a file: `hardware = "NAME:COUNT"` and the settings of `Layout`; `[device]` replaces
    numbers of the named device, or gives all of one.

    Raises:
        ConfigError: not TOML, an unknown key or name, a bad value; names it.
    """
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
        named = data.pop("hardware", None)
        own = data.pop("device", {})
        if named is not None:
            base, data["count"] = parse_hardware(named)
            data["device"] = base.model_dump() | own
        else:
            data["device"] = own
        return Layout.model_validate(data)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None
    except ValidationError as error:
        lines = [
            f"{path}: {'.'.join(map(str, issue['loc']))}: {issue['msg']}"
            for issue in error.errors()
        ]
        raise ConfigError("\n".join(lines)) from None
