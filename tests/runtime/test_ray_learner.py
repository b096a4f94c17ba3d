"""A learner whose actor is killed within an update gives what an undisturbed one gives."""

from __future__ import annotations

import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from ray_kit import descendants, title

from mars2.agents.team import make_policy
from mars2.config import RunConfig
from mars2.training.learner import local_learner
from mars2.training.learning import LearnerSetup
from mars2.training.sample import Sample

pytest.importorskip("ray", reason="needs mars2[ray]")
pytestmark = pytest.mark.slow


def samples(count: int, seed: int) -> list[Sample]:
    draw = random.Random(seed)
    return [
        Sample(
            agent="lark",
            policy="lark",
            prompt_ids=tuple(draw.choices(range(3, 40), k=8)),
            token_ids=tuple(draw.choices(range(3, 40), k=40)),
            logprobs=(-1.0,) * 40,
            temperature=1.0,
            reward=1.0,
            shaped=1.0,
            advantage=draw.uniform(-1, 1),
            tree_id=f"t{i}",
            node_id=1,
            policy_version=0,
            truncated=False,
        )
        for i in range(count)
    ]


def kill_during_update() -> None:
    while True:
        for pid in descendants(os.getpid()):
            if title(pid).startswith("ray::LearnerActor.update"):
                os.kill(pid, signal.SIGKILL)
                return
        time.sleep(0.001)


def test_an_update_whose_actor_is_killed_is_made_again() -> None:
    from mars2.runtime.cluster import cluster
    from mars2.runtime.crew import Crew

    torch.set_num_threads(1)
    config = RunConfig.model_validate(
        {
            "agents": [{"name": "lark", "spec": "micro:lark", "policy": "lark"}],
            "learner": {"lr": 1e-3, "minibatches": 4},
            "verifier": {"backend": "http://127.0.0.1:1"},  # no verifier actors
            "runtime": {"kind": "ray"},
        }
    )
    setup = LearnerSetup("lark", config.learner, config.objective, total_steps=8)
    here = local_learner(setup, make_policy("lark", config.agents[0]))  # type: ignore[arg-type]
    expected = [here.update(samples(400, seed)) for seed in range(2)]
    said: list[str] = []
    with cluster(config, said.append) as opened, Crew(config, opened, said.append) as crew:
        policy = crew.team().policies["lark"]
        learner = crew.make_learner(setup, policy)  # type: ignore[arg-type]
        assert learner.update(samples(400, 0)) == expected[0]
        with ThreadPoolExecutor(1) as pool:
            killed = pool.submit(kill_during_update)
            assert learner.update(samples(400, 1)) == expected[1]
            killed.result()
        assert (learner.version, learner.updates) == (2, 2)
        for name, weight in learner.weights().items():
            assert torch.equal(weight, here.weights()[name]), name
    assert sum("the learner of lark died" in line for line in said) == 1
