"""Settings of the vLLM servers that a run starts or connects to (docs/vllm.md)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from mars2.config.section import Section

_Gpu = Annotated[int, Field(ge=0)]


class VllmConfig(Section):
    """Of all `vllm:` policies of a run; one server a policy.

    `python` is the interpreter that vLLM is installed for; None: MARS2_VLLM_PYTHON, else the one
    that runs mars2. With `lora_rank` above 0 the engine holds adapters up to that rank, and a
    learner with `learner.lora_rank` publishes its adapters alone; otherwise whole weights. After a
    publication, log-probs of engine and learner may differ by `tolerance` nats on average, None: by
    what suits the dtype.

    `devices` gives a policy's own server GPUs of this machine, over which it spreads the model
    (tensor parallelism); one that is not named sees what mars2 sees, and uses one.
    """

    python: str | None = None
    start_timeout_s: float = Field(default=900.0, gt=0)
    max_model_len: int | None = Field(default=None, gt=0)  # None: the model's context
    kv_cache_mb: int | None = Field(default=None, gt=0)  # None: vLLM's share of all memory
    lora_rank: int = Field(default=0, ge=0)
    tolerance: float | None = Field(default=None, gt=0)
    exchange_dir: str | None = None  # shared with a server at a URL, for weights
    devices: dict[str, Annotated[list[_Gpu], Field(min_length=1)]] = Field(default={})
    args: list[str] = Field(default=[])  # further arguments of vLLM's server

    @field_validator("devices")
    @classmethod
    def _apart(cls, devices: dict[str, list[int]]) -> dict[str, list[int]]:
        owner: dict[int, str] = {}
        for policy, of in devices.items():
            for device in of:
                if device in owner:
                    raise ValueError(
                        f"GPU {device} is given to {owner[device]!r} and to {policy!r}"
                        if owner[device] != policy
                        else f"GPU {device} is given to {policy!r} twice"
                    )
                owner[device] = policy
        return devices
