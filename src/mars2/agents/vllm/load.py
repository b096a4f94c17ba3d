"""From `vllm:MODEL[@URL]` to a policy; nothing is started yet."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from mars2.agents.codec import Codec, context_of, eos_ids
from mars2.agents.hf import locate, quiet
from mars2.agents.vllm.client import Client
from mars2.agents.vllm.policy import VllmPolicy
from mars2.agents.vllm.server import Server, vllm_python
from mars2.config import VllmConfig
from mars2.errors import AgentSpecError

_MODEL = "policy"  # what our own servers call theirs


def load_vllm(
    name: str,
    model: str,
    url: str | None,
    *,
    settings: VllmConfig,
    dtype: str = "float32",
    device: str = "auto",
    max_batch: int = 64,
) -> VllmPolicy:
    """A policy on a vLLM server of its own, or on the one at `url`, which has the same model.

    Args:
        dtype: of the server, "float32" or "bfloat16".
        device: of the learner's copy, if one is asked for.

    Raises:
        AgentSpecError: there is no such model or no vLLM here; says what to do.
    """
    from transformers import AutoConfig, AutoTokenizer, GenerationConfig

    spec = f"vllm:{model}"
    python = None if url else vllm_python(settings)
    source, local = locate(spec, model)
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=local)
            config = AutoConfig.from_pretrained(source, local_files_only=local)
            try:
                generation = GenerationConfig.from_pretrained(source, local_files_only=local)
            except OSError:  # not every model has one
                generation = None
    except Exception as error:  # readers raise whatever a broken file makes them raise
        first = str(error).strip().split("\n", 1)[0]
        raise AgentSpecError(f"{spec} cannot be loaded: {first}") from error
    limit = min((n for n in (context_of(config), settings.max_model_len) if n), default=None)
    codec = Codec(name, tokenizer, "chat", eos_ids(generation, config, tokenizer), limit)
    server = None
    if python is not None:
        server = Server(
            python, _MODEL, source, dtype, max_batch, settings, settings.devices.get(name, ())
        )
        client = Client(socket=server.socket)
        outbox = server.directory
    else:
        assert url is not None
        client = Client(url=url, key=os.environ.get("VLLM_API_KEY", ""))
        outbox = Path(tempfile.mkdtemp(prefix="mars2-weights-", dir=settings.exchange_dir))
    return VllmPolicy(
        name,
        source,
        codec,
        client,
        server,
        model=_MODEL if server else source,
        dtype=dtype,
        load=lambda: _float32(source, local, device),
        outbox=outbox,
        adapters=settings.lora_rank > 0,
        tolerance=settings.tolerance,
    )


def _float32(source: str, local: bool, device: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    with quiet():
        model = AutoModelForCausalLM.from_pretrained(
            source, local_files_only=local, dtype=torch.float32
        )
    return model.to(device).eval()
