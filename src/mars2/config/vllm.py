"""Settings of the vLLM servers that a run starts or connects to (docs/vllm.md)."""

from __future__ import annotations

from pydantic import Field

from mars2.config.section import Section


class VllmConfig(Section):
    """Of all `vllm:` policies of a run; one server a policy.

    `python` is the interpreter that vLLM is installed for; None: MARS2_VLLM_PYTHON, else the one
    that runs mars2. With `lora_rank` above 0 the engine holds adapters up to that rank, and a
    learner with `learner.lora_rank` publishes its adapters alone; otherwise whole weights. After a
    publication, log-probs of engine and learner may differ by `tolerance` nats on average, None: by
    what suits the dtype.
    """

    python: str | None = None
    start_timeout_s: float = Field(default=900.0, gt=0)
    max_model_len: int | None = Field(default=None, gt=0)  # None: the model's context
    kv_cache_mb: int | None = Field(default=None, gt=0)  # None: vLLM's share of all memory
    lora_rank: int = Field(default=0, ge=0)
    tolerance: float | None = Field(default=None, gt=0)
    exchange_dir: str | None = None  # shared with a server at a URL, for weights
    args: list[str] = Field(default=[])  # further arguments of vLLM's server
