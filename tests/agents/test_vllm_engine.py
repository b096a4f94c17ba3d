"""Real vLLM on the CPU: what it answers, what it holds after a publication, and how it ends."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import torch

from mars2.agents.vllm.client import Client
from mars2.agents.vllm.load import load_vllm
from mars2.agents.vllm.policy import VllmPolicy
from mars2.config import LearnerConfig, ObjectiveConfig, VllmConfig
from mars2.errors import TrainingError
from mars2.training.learner import Learner
from mars2.training.publication import publish
from mars2.training.publication_engine import examine
from mars2.types import Generation, Message, Sampling

pytestmark = [
    pytest.mark.slow,
    pytest.mark.vllm,
    pytest.mark.skipif(
        "MARS2_VLLM_PYTHON" not in os.environ,
        reason="needs vLLM: name its python in MARS2_VLLM_PYTHON (.ci/vllm installs one)",
    ),
]
ASKED = [[Message("user", "def f(x):\n" + "    x += 1\n" * i)] for i in range(6)]


def make(path: Path, *, tied: bool, **settings: Any) -> VllmPolicy:
    from vllm_models import write_model

    write_model(path, tied=tied)
    # Few tokens a pass, so that prompts are read in several parts.
    args = ["--enforce-eager", "--max-num-batched-tokens", "64"]
    options = VllmConfig(kv_cache_mb=64, args=args, **settings)
    return load_vllm("tiny", str(path), None, settings=options, max_batch=16)


def learner_of(policy: VllmPolicy, **config: Any) -> Learner:
    made = LearnerConfig(**config)
    return Learner("tiny", policy.clone_model(), made, ObjectiveConfig(), total_steps=1)


def change(learner: Learner) -> None:
    """As an update would, but by more."""
    torch.manual_seed(learner.version)
    with torch.no_grad():
        for weight in learner.model.parameters():
            if weight.requires_grad:
                weight.add_(0.05 * torch.randn_like(weight))
    learner.version += 1


async def ask(policy: VllmPolicy, tokens: int = 24) -> list[Generation]:
    sampling = Sampling(temperature=0.8, max_tokens=tokens)
    asked = [policy.generate(m, sampling, seed=i) for i, m in enumerate(ASKED)]
    return list(await asyncio.gather(*asked))


def worst(answers: list[Generation], model: Any, temperature: float = 0.8) -> float:
    """Largest difference of the answers' log-probs from the model's, computed plainly."""
    gaps = []
    for a in answers:
        with torch.no_grad():
            logits = model(torch.tensor([[*a.prompt_ids, *a.token_ids]])).logits[0]
        rows = torch.log_softmax(logits[len(a.prompt_ids) - 1 : -1] / temperature, -1)
        mine = rows.gather(1, torch.tensor(a.token_ids)[:, None])[:, 0]
        gaps.append((mine - torch.tensor(a.logprobs)).abs().max().item())
    return max(gaps)


def running(policy: VllmPolicy) -> float:
    """Requests that the engine is at work on."""
    transport = httpx.HTTPTransport(uds=str(policy._server.socket), verify=False)
    with httpx.Client(transport=transport) as client:
        lines = client.get("http://vllm/metrics", timeout=60).text.splitlines()
    return sum(float(x.split()[-1]) for x in lines if x.startswith("vllm:num_requests_running{"))


def until_busy(policy: VllmPolicy, busy: bool) -> None:
    while (running(policy) > 0) != busy:
        time.sleep(0.01)


async def ask_until_busy(policy: VllmPolicy) -> list[asyncio.Task[Generation]]:
    """Requests of which the engine is at work on some. Answers end when they like, often before a
    slow machine has looked, so others follow them until then."""
    seen = asyncio.create_task(asyncio.to_thread(until_busy, policy, True))
    tasks: list[asyncio.Task[Generation]] = []
    seed = 0
    while not seen.done():
        tasks = [task for task in tasks if not task.done()]
        while len(tasks) < 18:
            asked = policy.generate(ASKED[seed % 6], Sampling(max_tokens=900), seed=seed)
            tasks.append(asyncio.create_task(asked))
            seed += 1
        await asyncio.sleep(0.01)
    return tasks


def processes(policy: VllmPolicy) -> list[psutil.Process]:
    watch = psutil.Process(policy._server._process.pid)
    return [watch, *watch.children(recursive=True)]


@pytest.mark.parametrize("tied", [True, False])
async def test_answers_publications_and_the_end(tmp_path: Path, tied: bool, monkeypatch) -> None:
    policy = make(tmp_path / "model", tied=tied)
    learner = learner_of(policy)
    try:
        assert (await asyncio.to_thread(examine, learner, policy)).mean < 1e-5
        first = await ask(policy)
        assert worst(first, learner.model) < 1e-4
        assert [a.token_ids for a in await ask(policy)] == [a.token_ids for a in first]
        assert {a.policy_version for a in first} == {0}

        # A request that nobody waits for any more is ended in the engine.
        tasks = await ask_until_busy(policy)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(until_busy, policy, False)

        # Published while answers are under way: each is of one version, whole.
        for version in (1, 2):
            change(learner)
            under_way = asyncio.create_task(ask(policy, 200))
            await asyncio.sleep(0.05)
            done = await asyncio.to_thread(publish, learner, policy)
            assert done.tokens > 10
            assert done.mean < 1e-5
            assert {a.policy_version for a in await under_way} <= {version - 1, version}
            answers = await ask(policy)
            assert {a.policy_version for a in answers} == {version}
            assert worst(answers, learner.model) < 1e-4
        assert [p for p in policy.outbox.iterdir() if p.name.startswith("version-1-")] == []

        # Whatever leaves the engine with other weights is refused, and the old ones are back.
        kept = {k: v.clone() for k, v in learner.model.state_dict().items()}
        change(learner)
        with monkeypatch.context() as patched:
            patched.setattr(Client, "control", _without_heads if tied else _without_loading)
            with pytest.raises(TrainingError, match="does not have the learner's weights"):
                await asyncio.to_thread(publish, learner, policy)
        assert policy.version == 2
        learner.model.load_state_dict(kept)
        answers = await ask(policy)
        assert {a.policy_version for a in answers} == {2}
        assert worst(answers, learner.model) < 1e-4

        # The engine is killed: it is started again with the version that was published last.
        before = processes(policy)
        engine = next(p for p in before if "EngineCore" in p.name())
        engine.kill()
        assert worst(await ask(policy), learner.model) < 1e-4
        assert policy.version == 2
    finally:
        last = processes(policy)
        await policy.aclose()
    assert not [p for p in [*before, *last] if p.is_running()]
    assert not policy.outbox.exists()


_control = Client.control


def _without_heads(client: Client, path: str, **request: Any) -> Any:
    """vLLM's own reload, which forgets the output head that is tied to the embeddings."""
    if path == "/collective_rpc":
        where = request["json"]["kwargs"]["path"]
        if "version-3-" in where:
            request["json"] = {"method": "reload_weights", "kwargs": {"weights_path": where}}
    return _control(client, path, **request)


def _without_loading(client: Client, path: str, **request: Any) -> Any:
    if path == "/collective_rpc" and "version-3-" in request["json"]["kwargs"]["path"]:
        return None
    return _control(client, path, **request)


async def test_adapters_are_swapped_while_answers_are_under_way(tmp_path: Path) -> None:
    policy = make(tmp_path / "model", tied=True, lora_rank=8)
    learner = learner_of(policy, lora_rank=4)
    try:
        assert (await asyncio.to_thread(examine, learner, policy)).mean < 1e-5
        for version in (1, 2, 3, 4):
            change(learner)
            under_way = asyncio.create_task(ask(policy, 200))
            await asyncio.sleep(0.05)
            done = await asyncio.to_thread(publish, learner, policy)
            assert done.mean < 1e-5
            assert {a.policy_version for a in await under_way} <= {version - 1, version}
            answers = await ask(policy)
            assert {a.policy_version for a in answers} == {version}
            assert worst(answers, learner.model) < 1e-4
        assert not list(policy.outbox.rglob("model.safetensors"))  # the adapters alone
    finally:
        await policy.aclose()


def test_the_server_ends_when_mars2_is_killed(tmp_path: Path) -> None:
    """Also while it is still loading."""
    import subprocess
    import sys

    from vllm_models import write_model

    write_model(tmp_path / "model", tied=True)
    argv = ["solve", "builtin/sum-of-two", "--agent", f"a=vllm:{tmp_path / 'model'}"]
    child = subprocess.Popen(
        [sys.executable, "-m", "mars2.cli.main", *argv, "--set", "vllm.kv_cache_mb=64"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    me = psutil.Process(child.pid)
    while not any("api_server" in " ".join(p.cmdline()) for p in _children(me)):
        assert child.poll() is None
        time.sleep(0.02)
    family = [p for p in _children(me) if "mars2_watch" in " ".join(p.cmdline())]
    family += [p for p in _children(me) if "api_server" in " ".join(p.cmdline())]
    child.kill()
    child.wait()
    while any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in family):
        time.sleep(0.05)


def _children(process: psutil.Process) -> list[psutil.Process]:
    found = []
    for child in process.children(recursive=True):
        try:
            child.cmdline()
        except psutil.Error:
            continue
        found.append(child)
    return found
