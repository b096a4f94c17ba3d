"""What `--runtime` may say, what it may not, and that it changes nothing of what a run computes."""

from __future__ import annotations

import sys

import pytest
import torch
from click.testing import CliRunner

from mars2.cli.main import cli
from mars2.config import RunConfig, changed_keys, free_on_resume, load_config
from mars2.errors import ConfigError, Mars2Error, UsageError
from mars2.runtime.base import open_runtime
from mars2.runtime.stored import StoredWeights, freeze, pack, thaw, unpack

AGENT = {"name": "lark", "spec": "micro:lark"}


def test_the_runtime_is_free_on_resume_and_not_in_the_digest() -> None:
    local = RunConfig.model_validate({"agents": [AGENT]})
    ray = local.model_copy(update={"runtime": local.runtime.model_copy(update={"kind": "ray"})})
    assert local.digest() == ray.digest()
    assert changed_keys(local, ray) == ["runtime.kind: 'local' -> 'ray'"]
    assert changed_keys(local, ray, but=free_on_resume(local)) == []
    # what is free is free whole
    other = load_config(base={"vllm": {"args": ["--x"], "devices": {"p": [0]}}})
    assert changed_keys(RunConfig(), other) != []
    assert changed_keys(RunConfig(), other, but=free_on_resume(other)) == []


def test_unknown_keys_of_the_section_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'runtime\.workers'"):
        load_config(overrides=["runtime.workers=3"])


def invoke(*arguments: str) -> Exception:
    error = CliRunner().invoke(cli, ["train", "--out", "x", *arguments]).exception
    assert isinstance(error, Exception)
    return error


def test_an_address_without_ray_is_refused() -> None:
    error = invoke("--ray-address", "auto", "--agent", "micro:lark")
    assert isinstance(error, UsageError)
    assert str(error) == "--ray-address needs --runtime ray"


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    config = RunConfig.model_validate({"agents": [AGENT], "runtime": {"kind": "ray"}})
    with (
        pytest.raises(UsageError, match=r"pip install 'mars2\[ray\]'"),
        open_runtime(config, print),
    ):
        pass


def test_weights_come_out_of_the_store_as_they_went_in() -> None:
    body, norm = torch.randn(3, 4), torch.randn(4)
    weights = {"a": body, "head": body, "norm": norm, "part": body[:1]}
    packed = pack(weights)
    assert set(packed[0]) == {"a", "norm", "part"}  # tied ones travel once
    back = unpack(packed)
    assert back.keys() == weights.keys()
    assert all(torch.equal(back[name], weights[name]) for name in weights)
    assert back["head"].data_ptr() == back["a"].data_ptr()
    stored = StoredWeights(back, "ref")
    assert (dict(stored).keys(), stored.ref) == (weights.keys(), "ref")


def test_training_states_come_back_as_checkpoints_have_them() -> None:
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(2)).sum().backward()
    optimizer.step()
    state = {"optimizer": optimizer.state_dict(), "version": 3, "adapters": None}
    back = thaw(freeze(state))
    assert back["version"] == 3
    for key, value in state["optimizer"]["state"][0].items():
        assert torch.equal(back["optimizer"]["state"][0][key], value)


def test_an_agent_on_a_gpu_needs_an_actor_with_one() -> None:
    pytest.importorskip("ray", reason="needs mars2[ray]")
    from mars2.runtime.cluster import asked_cpus
    from mars2.runtime.crew import _placed

    config = RunConfig.model_validate(
        {"agents": [AGENT, AGENT | {"name": "b"}, AGENT | {"name": "c", "policy": "other"}]}
    )
    agent = config.agents[0]
    assert _placed(agent, 0, "learner_gpus").device == "cpu"
    assert _placed(agent, 1, "learner_gpus").device == "auto"
    on_cuda = agent.model_copy(update={"device": "cuda:0"})
    with pytest.raises(Mars2Error, match=r"'cuda:0', but runtime\.learner_gpus is 0"):
        _placed(on_cuda, 0, "learner_gpus")
    assert asked_cpus(config) == 5  # of two policies an inference actor and a learner; a verifier
