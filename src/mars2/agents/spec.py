"""Spec strings of agents: [NAME=]BACKEND:MODEL[@URL]. Pure text, loads nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import ValidationError

from mars2.config import AgentConfig
from mars2.errors import AgentSpecError

BACKENDS: dict[str, str] = {
    "openai": "openai:MODEL[@URL], any OpenAI-compatible endpoint",
    "hf": "hf:HUB_ID, hf:DIRECTORY, hf:FILE.gguf or hf:smollm2, in this process",
    "vllm": "vllm:MODEL[@URL], MODEL as for hf:, on a vLLM server that is started, or runs at URL",
    "micro": "micro:NAME, a micro model that ships with this package",
    "scripted": "scripted:NAME or scripted:FILE.py, a scripted stand-in",
}

_AT_URL = ("openai", "vllm")
_URL = re.compile(r"@(?=https?://)")
_HOST_WITHOUT_SCHEME = re.compile(r"@(localhost\b|[\w.-]+:\d+)")
_FORM = "write it as [NAME=]BACKEND:MODEL[@URL], for example coder=openai:qwen3@http://localhost:8000/v1"


@dataclass(frozen=True, slots=True)
class Spec:
    """A parsed BACKEND:MODEL[@URL]."""

    backend: str
    model: str
    url: str | None = None


def parse_spec(text: str) -> Spec:
    """Split a spec; the URL is what follows the last `@` before http:// or https://.

    Raises:
        AgentSpecError: no known backend, no model, a URL where none belongs or without scheme.
    """
    backend, colon, rest = text.strip().partition(":")
    if not colon:
        raise AgentSpecError(f"agent spec {text!r} has no backend: {_FORM}")
    if backend not in BACKENDS:
        known = "\n  ".join(BACKENDS.values())
        raise AgentSpecError(
            f"agent spec {text!r}: unknown backend {backend!r}; there are\n  {known}"
        )
    model, url = rest, None
    at = list(_URL.finditer(rest))
    if at:
        model, url = rest[: at[0].start()], rest[at[0].end() :]
    elif backend in _AT_URL and _HOST_WITHOUT_SCHEME.search(rest):
        raise AgentSpecError(f"agent spec {text!r}: the URL must start with http:// or https://")
    if not model.strip():
        raise AgentSpecError(f"agent spec {text!r} names no model: {BACKENDS[backend]}")
    if url is not None and backend not in _AT_URL:
        raise AgentSpecError(f"agent spec {text!r}: only openai: and vllm: take a URL")
    return Spec(backend, model.strip(), url)


def parse_agent(text: str) -> AgentConfig:
    """An agent from the command line's [NAME=]BACKEND:MODEL[@URL].

    Without a NAME the agent is called after its model.

    Raises:
        AgentSpecError: the name or the spec is unusable.
    """
    name, equals, rest = text.partition("=")
    if not equals or ":" in name:  # a "=" inside the model or the URL
        name, rest = "", text
    elif not name.strip():
        raise AgentSpecError(f"agent {text!r} has an empty name: {_FORM}")
    spec = parse_spec(rest)
    try:
        return AgentConfig(name=name.strip() or _name_of(spec.model), spec=rest.strip())
    except ValidationError:
        raise AgentSpecError(
            f"agent {text!r}: a name has only letters, digits, '_', '.' and '-'"
        ) from None


def _name_of(model: str) -> str:
    last = model.rstrip("/").rsplit("/", 1)[-1]
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", re.sub(r"\.(gguf|py)$", "", last)).strip("-.")
    return name or "agent"
