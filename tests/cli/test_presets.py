"""Every preset is read, says where each value comes from, and takes a real step."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path

import pytest

from mars2.config import RunConfig, load_config
from mars2.config.presets import preset, preset_names

TRAINING = ["dapo", "dr_grpo", "grpo", "gspo", "mars2", "mars2+"]


def test_there_are_these() -> None:
    assert preset_names() == [*TRAINING, "mars2-t+"]


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_is_valid_and_every_value_says_where_it_comes_from(name: str) -> None:
    config = load_config(base=preset(name))
    assert config != RunConfig()
    text = resources.files("mars2").joinpath(f"configs/presets/{name}.toml").read_text("utf-8")
    assert re.search(r"arXiv \d{4}\.\d{5}", text)
    for line in text.splitlines():
        if "=" in line.partition("#")[0]:
            assert len(line.partition("#")[2].strip()) > 3, line
            assert len(line) <= 100, line


def test_the_table_of_the_documentation_is_what_the_files_say() -> None:
    page = (Path(__file__).parents[2] / "docs" / "objective.md").read_text("utf-8")
    words = {"sample": "sample", "token": "tokens", "dr_grpo": "constant length"}
    for name in TRAINING:
        o = load_config(base=preset(name)).objective
        (row,) = re.findall(rf"^\| `{re.escape(name)}` \|.*$", page, re.MULTILINE)
        clip = f"{o.epsilon_low:g} / {o.epsilon_high:g}".replace("0.0003 / 0.0004", "3e-4 / 4e-4")
        beta = {0: "none", 1e-3: "k3, 1e-3", 0.04: "k3, 0.04"}[o.kl_beta]
        cells = [cell.strip() for cell in row.strip("|").split("|")][2:]
        assert cells == [o.level, clip, words[o.normalisation], beta, o.correction], name


def test_published_values() -> None:
    def objective(name: str) -> tuple[object, ...]:
        o = load_config(base=preset(name)).objective
        return o.level, o.normalisation, o.epsilon_low, o.epsilon_high, o.kl_beta

    assert objective("mars2") == ("token", "sample", 0.2, 0.2, 1e-3)
    assert objective("mars2+") == ("sequence", "sample", 0.2, 0.2, 1e-3)
    assert objective("gspo") == ("sequence", "sample", 3e-4, 4e-4, 0)
    assert objective("grpo") == ("token", "sample", 0.2, 0.2, 0.04)
    assert objective("dr_grpo") == ("token", "dr_grpo", 0.2, 0.2, 0)
    assert objective("dapo") == ("token", "token", 0.2, 0.28, 0)
    for name in TRAINING:
        config = load_config(base=preset(name))
        assert config.learner.lr == 1e-6
        assert config.credit.scale_rewards == ("none" if name == "dr_grpo" else "group")
        assert config.credit.shaping_gamma == (0.5 if name == "mars2+" else 0)


@pytest.mark.parametrize("name", TRAINING)
def test_a_preset_takes_a_real_step(mars2, tmp_path: Path, name: str) -> None:
    done = mars2(
        "train", "--preset", name, "--agent", "a=micro:lark", "--problems", "lab:mix:train",
        "--out", "run", "--steps", 1, "--max-tokens", 48, "--seed", 1,
        "--set", "train.trees_per_step=4", "--set", "train.refill_rounds=0",
        "--set", "search.nodes=4", "--set", "verifier.workers=1",
    )  # fmt: skip
    assert done.code == 0, done.err
    (line,) = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    (policy,) = json.loads(line)["policies"].values()
    assert policy["version"] == 1, "no tree was informative: choose another seed"
    assert policy["update"]["optimizer_steps"] >= 1
    assert policy["update"]["skipped_steps"] == 0
    ran = json.loads((tmp_path / "run" / "config.json").read_text())
    for section, values in preset(name).items():
        expected = values | {"trees_per_step": 4, "refill_rounds": 0, "nodes": 4}
        assert {k: ran[section][k] for k in values} == {k: expected[k] for k in values}


def test_command_line_over_file_over_preset_over_defaults(mars2, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(
        "[objective]\nepsilon_low = 0.5\nepsilon_high = 0.6\n[train]\ntrees_per_step = 1\n"
    )
    arguments = [
        "train", "--config", "c.toml", "--agent", "a=micro:lark", "--problems", "lab:mix:train",
        "--out", "run", "--steps", 1, "--max-tokens", 8, "--set", "search.nodes=1",
        "--set", "objective.epsilon_high=0.7", "--set", "train.refill_rounds=0",
    ]  # fmt: skip
    done = mars2(*arguments, "--preset", "gspo")
    assert done.code == 0, done.err
    ran = json.loads((tmp_path / "run" / "config.json").read_text())
    assert ran["objective"]["epsilon_high"] == 0.7  # command line
    assert ran["objective"]["epsilon_low"] == 0.5  # file
    assert ran["objective"]["kl_beta"] == 0.0  # preset
    assert ran["objective"]["correction_cap"] == 2.0  # default
    again = mars2(*arguments, "--preset", "dapo", "--resume")
    assert again.code == 0, again.err
    assert "--preset dapo is unused" in again.err


@pytest.mark.parametrize("command", [["train", "--out", "x"], ["eval", "builtin"], ["solve", "p"]])
def test_an_unknown_preset_is_answered_with_those_there_are(mars2, command: list[str]) -> None:
    done = mars2(*command, "--preset", "ppo")
    assert done.code == 2
    for name in preset_names():
        assert f"'{name}'" in done.err
