"""A scalar head learns, the same for the same seed, and survives being killed."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mars2.errors import AgentSpecError, ResumeError, UsageError
from mars2.lab.specs import weights_dir
from mars2.rewards import train as training
from mars2.rewards.base import load_reward_model
from mars2.rewards.data import Example, PublicVerdict, lines_of, read_examples, split_of
from mars2.rewards.model import batches_of
from mars2.rewards.text import Encoder
from mars2.rewards.train import TrainSettings, train
from mars2.types import FunctionalTest, Problem, Status

torch.set_num_threads(1)


def examples(count: int = 60) -> list[Example]:
    """Programs that are right if and only if they keep the even numbers."""
    rng = random.Random(3)
    made = []
    for p in range(count):
        for n in range(4):
            written = rng.randrange(2)
            made.append(
                Example(
                    problem_id=f"p{p}",
                    tree_id=f"p{p}",
                    node_id=n,
                    statement=f"Keep the even numbers of list {p}.",
                    code=f"def f(a):return [x for x in a if x%2=={written}]",
                    public=PublicVerdict(status=Status.PASSED, passed=1, total=1),
                    label=written == 0,
                )
            )
    return made


SETTINGS = TrainSettings(base="micro:loom", epochs=2, lr=1e-3, batch_tokens=256, seed=5)


def weights(path: Path) -> dict[str, bytes]:
    names = ("head.safetensors", "body/model.safetensors", "report.json", "reward_model.json")
    return {name: (path / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reward") / "model"
    train(examples(), "d", SETTINGS, out, device="cpu", bootstrap=40)
    return out


def test_it_learns_to_tell_right_from_wrong(trained: Path) -> None:
    report = json.loads((trained / "report.json").read_text())
    assert report["test"]["auc"] > 0.95
    assert report["test"]["selection"]["undecided"]["model"]["mean"] > 0.9
    assert report["test"]["selection"]["undecided"]["random"]["mean"] < 0.7
    assert report["data"]["train"]["problems"] + report["data"]["test"]["problems"] < 60
    assert sum(report["data"][k]["examples"] for k in ("train", "validation", "test")) == 240
    config = json.loads((trained / "reward_model.json").read_text())
    assert config["data"]["digest"] == "d"
    assert config["settings"]["base"] == "micro:loom"
    assert "tokenizer.json" in config["tokenizer_files"]
    assert not list(trained.glob("*.pt"))


def test_the_same_seed_gives_the_same_bytes(trained: Path, tmp_path: Path) -> None:
    train(examples(), "d", SETTINGS, tmp_path / "again", device="cpu", bootstrap=40)
    assert weights(tmp_path / "again") == weights(trained)
    other = SETTINGS.model_copy(update={"seed": 6})
    train(examples(), "d", other, tmp_path / "other", device="cpu", bootstrap=40)
    assert weights(tmp_path / "other") != weights(trained)


async def test_a_loaded_model_scores_programs(trained: Path) -> None:
    model = load_reward_model(trained, device="cpu")
    right, wrong = (f"def f(a):return [x for x in a if x%2=={k}]" for k in (0, 1))
    problem = Problem(
        id="new",
        statement="Keep the even numbers of list 77.",
        entry_point="f",
        public_tests=[FunctionalTest(args=[[1, 2]], expected=[2])],
    )
    scores = await model.score(problem, [wrong, right, wrong])
    assert all(0 <= s <= 1 for s in scores)
    assert scores[1] > scores[0]
    assert scores[2] == scores[0]
    assert await model.score(problem, []) == []
    too_long = "x = 1\n" * 3000
    assert 0 < (await model.score(problem, [too_long]))[0] < 1


async def test_any_causal_model_of_a_directory_will_do(tmp_path: Path) -> None:
    base = f"hf:{weights_dir('lark')}"
    settings = SETTINGS.model_copy(update={"base": base, "epochs": 1})
    train(examples(24), "d", settings, tmp_path / "m", device="cpu", bootstrap=8)
    config = json.loads((tmp_path / "m" / "reward_model.json").read_text())
    assert config["style"] == "chat"
    model = load_reward_model(tmp_path / "m", device="cpu")
    problem = Problem(
        id="new",
        statement="Keep the even numbers.",
        entry_point="f",
        public_tests=[FunctionalTest(args=[1], expected=1)],
    )
    assert 0 < (await model.score(problem, ["def f(a):return a"]))[0] < 1


def test_a_directory_that_is_none_says_so(tmp_path: Path, trained: Path) -> None:
    with pytest.raises(UsageError, match="holds no reward model"):
        load_reward_model(tmp_path)
    broken = tmp_path / "broken"
    shutil.copytree(trained, broken)
    (broken / "head.safetensors").write_bytes(b"no")
    with pytest.raises(UsageError, match="cannot be loaded"):
        load_reward_model(broken)


class Stop(Exception):
    pass


def test_stopped_anywhere_it_goes_on_to_the_same_model(trained: Path, tmp_path: Path) -> None:
    """Stopped in the second epoch: the first is not repeated, and the end is the same."""
    out, steps = tmp_path / "model", []

    def stop(done: int, total: int) -> None:
        steps.append(done)
        if done == total - 2:
            raise Stop

    with pytest.raises(Stop):
        train(examples(), "d", SETTINGS, out, device="cpu", on_batch=stop, bootstrap=40)
    with pytest.raises(UsageError, match="interrupted"):
        load_reward_model(out)
    again: list[int] = []
    lines: list[str] = []
    train(
        examples(),
        "d",
        SETTINGS,
        out,
        resume=True,
        device="cpu",
        on_batch=lambda done, total: again.append(done),
        log=lines.append,
        bootstrap=40,
    )
    assert lines[0] == "resumed after epoch 1"
    assert again[0] > 1
    assert again[0] <= steps[-1]
    assert weights(out) == weights(trained)
    report = train(examples(), "d", SETTINGS, out, resume=True, device="cpu")
    assert report == json.loads((out / "report.json").read_text())


@pytest.mark.slow
def test_killed_it_goes_on_to_the_same_model(trained: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "data.jsonl", tmp_path / "model"
    data.write_text(lines_of(examples()))
    script = (
        "import sys, pathlib, torch\n"
        "torch.set_num_threads(1)\n"
        "from mars2.rewards.train import *\n"
        "from mars2.rewards.data import read_examples\n"
        f"settings = TrainSettings.model_validate({SETTINGS.model_dump()!r})\n"
        "def tell(line): print(line, flush=True)\n"
        "data, out = map(pathlib.Path, sys.argv[1:])\n"
        "train(read_examples(data)[0], 'd', settings, out, device='cpu', log=tell)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(data), str(out)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("epoch 1/2")
    process.send_signal(signal.SIGKILL)
    process.wait()
    read, _ = read_examples(data)
    lines: list[str] = []
    train(read, "d", SETTINGS, out, resume=True, device="cpu", log=lines.append, bootstrap=40)
    assert lines[0] == "resumed after epoch 1"
    assert weights(out) == weights(trained)


def test_what_is_not_ours_is_left_alone(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    with pytest.raises(ResumeError, match="is not empty and holds no reward model"):
        train(examples(), "d", SETTINGS, tmp_path, device="cpu")
    with pytest.raises(ResumeError, match="--resume"):
        train(examples(), "d", SETTINGS, trained, device="cpu")
    with pytest.raises(ResumeError, match="is a file"):
        train(examples(), "d", SETTINGS, tmp_path / "precious", device="cpu")
    other = SETTINGS.model_copy(update={"lr": 0.1})
    with pytest.raises(ResumeError, match=r"lr: 0.001 -> 0.1\n  data: 'd' -> 'e'"):
        train(examples(), "e", other, trained, resume=True, device="cpu")
    assert [p.name for p in tmp_path.iterdir()] == ["precious"]


def test_data_that_teaches_nothing_is_refused(tmp_path: Path) -> None:
    same = [e.model_copy(update={"label": True}) for e in examples(20)]
    with pytest.raises(UsageError, match="training programs are right"):
        train(same, "d", SETTINGS, tmp_path / "a", device="cpu")
    unlucky = next(f"q{i}" for i in range(99) if split_of(f"q{i}") == "test")
    one = [e.model_copy(update={"problem_id": unlucky}) for e in examples(1)]
    with pytest.raises(UsageError, match="no training example"):
        train(one, "d", SETTINGS, tmp_path / "b", device="cpu")
    long = SETTINGS.model_copy(update={"max_length": 5000})
    with pytest.raises(UsageError, match="at most 1024"):
        train(examples(), "d", long, tmp_path / "c", device="cpu")
    elsewhere = SETTINGS.model_copy(update={"base": "openai:gpt"})
    with pytest.raises(AgentSpecError, match="needs weights in this process"):
        train(examples(), "d", elsewhere, tmp_path / "d", device="cpu")
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_is_not_finite_says_so(tmp_path: Path, monkeypatch: Any) -> None:
    def broken(policy: Any) -> Any:
        model = scalar(policy)
        torch.nn.init.constant_(model.head.bias, float("nan"))
        return model

    scalar = training.scalar_model
    monkeypatch.setattr(training, "scalar_model", broken)
    with pytest.raises(training.TrainingError, match="lower lr"):
        train(examples(), "d", SETTINGS, tmp_path / "x", device="cpu")


# --------------------------------------------------------------------------- texts


def test_only_statements_are_cut() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(weights_dir("loom"))
    statement, code = "word " * 300 + "END", "def f(a):\n return sorted(a)"
    for style, prefix in (("micro", "Q:word"), ("chat", "word")):
        whole = Encoder(tokenizer, style, 10_000).encode(statement, code)
        assert whole is not None
        assert not whole.cut
        cut = Encoder(tokenizer, style, 120).encode(statement, code)
        assert cut is not None
        assert cut.cut
        assert len(cut.ids) == 120
        text = tokenizer.decode(cut.ids)
        assert text.startswith(prefix)
        assert code in text
        assert "END" in text
        assert " ... " in text
        least = Encoder(tokenizer, style, 20).encode(statement, code)
        assert least is None or code in tokenizer.decode(least.ids)
        assert Encoder(tokenizer, style, 5).encode(statement, code) is None


def test_batches_hold_every_text_once_and_no_more_than_they_may() -> None:
    rng = random.Random(0)
    lengths = [rng.randint(1, 50) for _ in range(200)] + [500]
    groups = batches_of(lengths, 128)
    assert sorted(i for g in groups for i in g) == list(range(201))
    assert all(len(g) * max(lengths[i] for i in g) <= 128 or len(g) == 1 for g in groups)
