"""Plans: recipes, misfits and what is advised, journals, the command."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mars2.agents.spec import parse_spec
from mars2.cli import plan as cli
from mars2.cli.main import cli as mars2
from mars2.config import RunConfig, load_config
from mars2.errors import ConfigError, UsageError
from mars2.plan.advice import advise
from mars2.plan.hardware import device
from mars2.plan.layout import Layout, load_layout, parse_hardware
from mars2.plan.memory import Stream, whole_layers
from mars2.plan.planning import make_plan
from mars2.plan.policies import split, typical_stream
from mars2.plan.shapes import shape_of
from mars2.plan.sweep import simulate
from mars2.plan.timing import (
    batch_seconds,
    decode_seconds,
    optimizer_seconds,
    training_seconds,
)
from mars2.plan.workload import Workload, observe
from mars2.problems import load

ROLLOUTS = Path(__file__).parents[2] / "benchmarks" / "rollouts" / "smollm2.jsonl.gz"
GPU = Layout(device=device("h100"))


def settings(**changes: Any) -> RunConfig:
    """One policy of 8 B."""
    agent = {"name": "a", "spec": "hf:Qwen/Qwen3-8B", "dtype": "bfloat16"}
    return load_config(base={"agents": [agent], **changes})


@pytest.mark.parametrize("name", cli.recipe_names())
def test_recipes_are_whole_and_fit(name: str) -> None:
    path = cli.find(name)
    config, layout = cli.read(path), cli.place(path, None)
    plan = make_plan(config, layout)
    assert not plan.misfits
    assert config.agents
    assert load(config.problems.train, limit=1)
    # What nobody ran says so, at the top.
    header = path.read_text("utf-8").split("[[agents]]")[0]
    assert ("NOT RUN ON GPUS" in header) == (layout.engine == "sharded")
    if layout.engine == "sharded":  # the settings ask for what was planned
        policies = {a.policy for a in config.agents}
        serving, learning = split(layout, len(policies))
        assert config.learner.shards == len(policies) * learning
        assert all(parse_spec(a.spec).backend == "vllm" for a in config.agents)
        assert layout.tensor_parallel == serving
        if config.vllm.devices:
            assert {p: len(of) for p, of in config.vllm.devices.items()} == dict.fromkeys(
                policies, serving
            )
        else:  # servers of other machines, told how to be started
            assert all(parse_spec(a.spec).url for a in config.agents)
            assert f"--tensor-parallel-size {serving}" in header
    for mode in ("sync", "async"):
        out = simulate(config, layout, None, layout.count, mode, 2, trees=4, steps=1)
        assert out.nodes > 0


def test_there_are_recipes_from_a_laptop_to_nodes() -> None:
    wanted = ["laptop", "node-8b", "node-8b-pair", "one-gpu", "pair-32b", "three-nodes-14b"]
    assert cli.recipe_names() == wanted


def test_papers_values_are_in_the_recipes_of_nodes() -> None:
    config = cli.read(cli.find("node-8b-pair"))
    assert (config.search.nodes, config.train.trees_per_step) == (8, 16)
    assert (config.learner.lr, config.learner.minibatches) == (1e-6, 2)
    assert (config.objective.level, config.objective.kl_beta) == ("sequence", 1e-3)
    assert {a.max_tokens for a in config.agents} == {32768}


def test_what_cannot_fit_is_refused_and_each_advice_helps() -> None:
    agent = {"name": "a", "spec": "hf:Qwen/Qwen3-4B", "dtype": "bfloat16"}
    config = load_config(base={"agents": [agent]})
    plan = make_plan(config, GPU)
    assert plan.misfits[0].needs > 80e9
    assert advise(config, GPU, plan)
    for change in advise(config, GPU, plan):
        data = config.model_dump()
        for key, value in change.settings.items():
            section, _, name = key.partition(".")
            target = data["agents"][0] if section == "agents" else data[section]
            target[name] = value
        assert change.fits == (not make_plan(load_config(base=data), GPU).misfits)
        assert change.fits


def test_the_room_for_layers_is_advised_before_none_of_them() -> None:
    agent = {"name": "a", "spec": "hf:Qwen/Qwen3-0.6B", "dtype": "bfloat16"}
    learner = {"activation_checkpointing": False, "micro_batch_tokens": 32768}
    config = load_config(base={"agents": [agent], "learner": learner})
    plan = make_plan(config, GPU)
    assert plan.misfits
    assert advise(config, GPU, plan)[0].settings == {"learner.activation_checkpointing": "auto"}


def test_what_nothing_helps_is_said_too() -> None:
    agent = {"name": "a", "spec": "hf:Qwen/Qwen3-32B"}
    config = load_config(base={"agents": [agent]})
    small = Layout(device=device("rtx4090"))
    (closest,) = advise(config, small, make_plan(config, small))
    assert not closest.fits
    assert "still" in str(closest)


def test_the_sum_of_a_part_is_what_it_needs() -> None:
    for part in make_plan(settings(), GPU).parts:
        assert sum(part.holds.values()) == part.needs


@pytest.mark.parametrize(("spec", "both"), [("micro:lark", True), ("hf:smollm2", False)])
def test_small_learners_on_a_cpu_leave_what_answers_took(spec: str, both: bool) -> None:
    config = load_config(base={"agents": [{"name": "a", "spec": spec}]})
    (part,) = make_plan(config, Layout(device=device("cpu", memory_gb=100))).parts
    held = {"gradients, activations, logits", "KV cache and sampling"} <= part.holds.keys()
    assert held == both


def test_asynchronous_is_never_slower_and_idle_shares_are_shares() -> None:
    for name in cli.recipe_names():
        path = cli.find(name)
        plan = make_plan(cli.read(path), cli.place(path, None))
        assert plan.async_s <= plan.sync_s * (1 + 1e-9)
        shares = [x for of in plan.idle.values() for x in of.values()]
        assert all(-1e-9 <= x <= 1 for x in shares)


def test_training_takes_about_six_operations_a_weight_and_token() -> None:
    shape, gpu = shape_of("hf:Qwen3-8B"), device("h100")
    seconds = training_seconds(shape, Stream(8192, 8192), gpu, "bfloat16").products
    assert seconds * gpu.flops("bfloat16") == pytest.approx(6 * 8192 * shape.parameters, rel=0.1)


def test_auto_computes_again_what_it_did_not_keep() -> None:
    shape, gpu = shape_of("hf:Qwen3-8B"), device("h100", train_call_us=0, train_layer_us=0)

    def parts(tokens: int, how: bool | str) -> tuple[float, float, float]:
        stream = Stream(tokens, tokens, rows=0)
        found = training_seconds(shape, stream, gpu, "float32", checkpointing=how)
        return found.products, found.traffic, found.calls

    # 8.2 GB of room; layers keep 1.6 GB of 4,096 tokens: 5 of 36, so 31/36 of a pass is repeated.
    kept = whole_layers(shape, Stream(4096, 4096), "float32", "auto")
    assert 1 < kept < shape.layers
    for least, auto, most in zip(*(parts(4096, how) for how in (False, "auto", True)), strict=True):
        assert auto - least == pytest.approx((1 - kept / shape.layers) * (most - least))
        assert auto > least
    assert parts(100, "auto") == parts(100, False)
    lonely = parts(1 << 15, "auto")  # the first layer always keeps what it computed
    assert lonely[0] == pytest.approx(parts(1 << 15, True)[0], rel=0.02)
    assert lonely[0] < parts(1 << 15, True)[0]


def test_adapters_move_what_passes_them() -> None:
    shape, cpu = shape_of("hf:smollm2"), device("cpu")
    stream = Stream(1000, 0)
    plain = training_seconds(shape, stream, cpu, "float32")
    with_ = training_seconds(shape, stream, cpu, "float32", lora_rank=16)
    ends = 30 * (2 * (576 + 576) + 2 * (576 + 192) + 3 * (576 + 1536))  # in and out, all layers
    assert with_.traffic - plain.traffic == pytest.approx(28e3 * ends / cpu.stream_bandwidth)
    assert with_.products < plain.products


def test_gradients_added_in_place_are_not_added_again() -> None:
    cpu = device("cpu")
    saved = optimizer_seconds(1e6, 3, cpu) - optimizer_seconds(1e6, 3, cpu, in_place=5e5)
    assert saved == pytest.approx(12 * 2 * 5e5 / cpu.stream_bandwidth)
    assert optimizer_seconds(1e6, 1, cpu, in_place=5e5) == optimizer_seconds(1e6, 1, cpu)


def test_a_step_of_decoding_reads_the_weights() -> None:
    shape, gpu = shape_of("hf:Qwen3-8B"), device("h100", call_us=0, layer_us=0)
    one = decode_seconds(shape, 1, 0, gpu, "bfloat16")
    assert one * gpu.stream_bandwidth == pytest.approx(2 * (shape.matrices + shape.head), rel=0.01)
    assert decode_seconds(shape, 64, 0, gpu, "bfloat16") < 1.5 * one
    assert decode_seconds(shape, 64, 0, gpu, "bfloat16", 2) < one


def test_a_batch_takes_as_long_as_its_longest_answer() -> None:
    shape, gpu = shape_of("hf:smollm2"), device("cpu")
    even = batch_seconds(shape, [50] * 4, [100] * 4, gpu, "float32")
    tail = batch_seconds(shape, [50] * 4, [50, 50, 50, 250], gpu, "float32")
    assert tail > even


def test_a_micro_batch_is_what_packing_makes_of_it() -> None:
    config = settings(learner={"micro_batch_tokens": 4096})
    work = Workload(prompt_tokens=100, refine_tokens=100, output_tokens=400, distinct=1.0)
    layout = GPU.model_copy(update={"workload": work})
    stream, count = typical_stream(config.learner, layout, 64, 1024, 40960)
    assert stream.tokens * count == pytest.approx(64 * 500, rel=0.01)
    assert stream.tokens <= 4096
    one, _ = typical_stream(config.learner, layout, 640, 32768, 40960)
    assert one.tokens == 100 + 32768  # a sample longer than the limit comes alone


def test_lengths_come_from_journals(tmp_path: Path) -> None:
    seen = observe([ROLLOUTS])
    with gzip.open(ROLLOUTS, "rt") as file:
        rows = [json.loads(line) for line in file]
    lengths = [len(r["generation"]["token_ids"]) for r in rows]
    assert [a.output for a in seen.answers] == lengths
    assert seen.workload.output_tokens == pytest.approx(sum(lengths) / len(lengths))
    run = tmp_path / "run"
    run.mkdir()
    lines = [json.dumps({"event": "tell", "node": r}) for r in rows[:20]]
    (run / "journal.jsonl").write_text("\n".join([*lines, '{"event": "te']))
    assert observe([run]).answers == seen.answers[:20]
    with pytest.raises(ConfigError, match="cannot be read"):
        observe([tmp_path / "nothing"])


@pytest.mark.parametrize("text", ["h100:0", "h100:many", "tpu"])
def test_hardware_that_is_none(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_hardware(text)


def test_descriptions_name_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "x.plan.toml"
    path.write_text('hardware = "h100:8"\nengines = "sharded"\n')
    with pytest.raises(ConfigError, match="engines"):
        load_layout(path)
    path.write_text('hardware = "h100:8"\n[device]\nprice = 2.5\n')
    assert load_layout(path).device.price == 2.5


def test_too_few_devices_for_servers_apart() -> None:
    with pytest.raises(ConfigError, match="at least 2"):
        make_plan(settings(), GPU.model_copy(update={"engine": "sharded"}))


def test_one_process_has_no_shards() -> None:
    with pytest.raises(ConfigError, match=r"learner.shards is 2.*one process.*learner.shards = 1"):
        make_plan(settings(learner={"shards": 2}), GPU)


def test_one_process_has_no_servers() -> None:
    agent = {"name": "a", "spec": "vllm:Qwen/Qwen3-8B", "policy": "a", "dtype": "bfloat16"}
    config = load_config(base={"agents": [agent]})
    with pytest.raises(ConfigError, match=r"'a' has a vLLM server.*one process"):
        make_plan(config, GPU)
    apart = GPU.model_copy(update={"engine": "sharded", "count": 4})
    served, local = (make_plan(c, apart) for c in (config, settings()))
    assert [p.needs for p in served.parts] == [p.needs for p in local.parts]


def test_the_command() -> None:
    run = CliRunner().invoke
    fits = run(mars2, ["plan", "node-8b", "--json"], standalone_mode=False)
    assert fits.return_value == 0
    assert json.loads(fits.stdout)["fits"]
    small = run(mars2, ["plan", "node-8b", "--hardware", "h100:2"], standalone_mode=False)
    assert small.return_value == 1
    assert "too many" in small.stdout
    assert "learner." in small.stdout
    simulated = run(
        mars2,
        ["plan", "node-8b", "--simulate", "--gpus", "1,8", "--in-flight", "2", "--json"],
        standalone_mode=False,
    )
    rows = json.loads(simulated.stdout)
    assert [(r["gpus"], r["mode"]) for r in rows] == [
        (1, "sync"),
        (1, "async"),
        (8, "sync"),
        (8, "async"),
    ]


def test_nowhere_to_run_is_a_usage_error(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[[agents]]\nname = "a"\nspec = "micro:lark"\n')
    with pytest.raises(UsageError, match="--hardware"):
        cli.place(path, None)
    with pytest.raises(UsageError, match="recipes are"):
        cli.find("nothing")
