from __future__ import annotations

import subprocess
import sys

import pytest

from mars2.agents.openai import OpenAIPolicy
from mars2.agents.roles import ROLES
from mars2.agents.scripted import NAMED, ScriptedPolicy, load_scripted
from mars2.agents.spec import BACKENDS, Spec, parse_agent, parse_spec
from mars2.agents.team import build_team
from mars2.agents.vllm.server import Server
from mars2.config import AgentConfig, VllmConfig, load_config
from mars2.errors import (
    AgentSpecError,
    CapabilityError,
    ConfigError,
    GenerationError,
    UsageError,
)
from mars2.prompts import extract_code
from mars2.types import Generation, Message, Sampling

ASK = [Message("user", "Print 1.")]


def agent(name: str, spec: str = "scripted:echo", **fields) -> AgentConfig:
    return AgentConfig(name=name, spec=spec, **fields)


# --------------------------------------------------------------------------- specs


@pytest.mark.parametrize(
    ("text", "name", "spec"),
    [
        ("coder=openai:qwen3", "coder", Spec("openai", "qwen3")),
        (
            "a=openai:org/m:7b@http://localhost:8000/v1",
            "a",
            Spec("openai", "org/m:7b", "http://localhost:8000/v1"),
        ),
        (
            "openai:m@https://h/v1?key=a=b@c",
            "m",
            Spec("openai", "m", "https://h/v1?key=a=b@c"),
        ),
        (
            "openai:@cf/meta/llama@http://h/v1",
            "llama",
            Spec("openai", "@cf/meta/llama", "http://h/v1"),
        ),
        ("x=openai:m@v2", "x", Spec("openai", "m@v2")),
        ("hf:HuggingFaceTB/SmolLM2-135M-Instruct", "SmolLM2-135M-Instruct", None),
        ("hf:/models/my model.gguf", "my-model", Spec("hf", "/models/my model.gguf")),
        ("hf:./dir=x/", "dir-x", Spec("hf", "./dir=x/")),
        ("micro:ada", "ada", Spec("micro", "ada")),
        ("scripted:play.py", "play", Spec("scripted", "play.py")),
        ("hf:...", "agent", Spec("hf", "...")),
    ],
)
def test_specs_are_parsed(text, name, spec):
    parsed = parse_agent(text)
    assert parsed.name == name
    assert spec is None or parse_spec(parsed.spec) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no backend"),
        ("qwen3", "no backend"),
        ("coder=", "no backend"),
        ("=micro:ada", "empty name"),
        ("co der=micro:ada", "a name has only"),
        ("a=tgi:x", "unknown backend 'tgi'"),
        ("a=openai:", "names no model"),
        ("a=openai:@http://h/v1", "names no model"),
        ("a=openai:m@localhost:8000/v1", "must start with http"),
        ("a=micro:ada@http://h", "only openai: and vllm: take a URL"),
    ],
)
def test_bad_specs_say_what_is_wrong(text, message):
    with pytest.raises(AgentSpecError, match=message):
        parse_agent(text)


def test_an_unknown_backend_lists_the_known_ones():
    with pytest.raises(AgentSpecError) as caught:
        parse_spec("nope:x")
    assert all(f"{name}:" in str(caught.value) for name in BACKENDS)


# --------------------------------------------------------------------------- teams


def test_equal_specs_share_one_policy_and_roles_differ():
    team = build_team(
        [agent("a"), agent("b", role="debugger", temperature=0.3), agent("c", "scripted:empty")]
    )
    assert list(team.agents) == ["a", "b", "c"]
    assert team.agents["a"].policy is team.agents["b"].policy
    assert team.agents["a"].policy is not team.agents["c"].policy
    assert list(team.policies) == ["scripted:echo", "scripted:empty"]
    assert team.agents["b"].role.system_prompt == ROLES["debugger"]
    assert team.agents["b"].role.sampling.temperature == 0.3


def test_equal_specs_with_own_policy_names_do_not_share():
    team = build_team([agent("a", policy="one"), agent("b", policy="two")])
    assert list(team.policies) == ["one", "two"]
    assert team.policies["one"] is not team.policies["two"]


def test_one_policy_name_with_two_specs_is_refused():
    with pytest.raises(AgentSpecError, match="'a' and 'b' share the policy 'p' but differ in spec"):
        build_team([agent("a", policy="p"), agent("b", "scripted:empty", policy="p")])
    with pytest.raises(AgentSpecError, match="differ in dtype"):
        build_team([agent("a"), agent("b", dtype="bfloat16")])


def test_unknown_role_lists_the_known_ones_unless_a_prompt_is_given():
    with pytest.raises(AgentSpecError, match=r"unknown role 'boss'.*coder, planner"):
        build_team([agent("a", role="boss")])
    team = build_team([agent("a", role="boss", system_prompt="Lead.")])
    assert team.agents["a"].role.system_prompt == "Lead."


def test_empty_and_double_teams_are_refused():
    with pytest.raises(UsageError, match="at least one agent"):
        build_team([])
    with pytest.raises(UsageError, match="'a' is used more than once"):
        build_team([agent("a"), agent("a")])


@pytest.mark.parametrize("spec", ["openai:m@http://127.0.0.1:9/v1", "scripted:echo"])
def test_training_refuses_policies_without_logprobs_by_name(spec):
    with pytest.raises(CapabilityError, match=r"agent 'cloudy' .*token ids") as caught:
        build_team([agent("cloudy", spec)], train=True)
    assert caught.value.exit_code == 2


def test_training_takes_endpoints_beside_an_agent_that_learns():
    endpoint = agent("far", "openai:m@http://127.0.0.1:9/v1")
    team = build_team([agent("near", "micro:lark", max_batch=2), endpoint], train=True)
    assert list(team.agents) == ["near", "far"]
    with pytest.raises(CapabilityError, match=r"'far' .*cannot be trained.*leave out its train"):
        build_team(
            [agent("near", "micro:lark"), endpoint.model_copy(update={"train": True})], train=True
        )
    with pytest.raises(CapabilityError, match=r"(?s)nobody.*'near' is frozen.*'far'"):
        build_team([agent("near", "micro:lark", train=False), endpoint], train=True)
    with pytest.raises(AgentSpecError, match="differ in train"):
        build_team([agent("a", "micro:lark"), agent("b", "micro:lark", train=False)], train=True)


async def test_an_endpoint_agent_is_made_without_touching_the_network():
    team = build_team([agent("a", "openai:m@http://127.0.0.1:9/v1")])
    policy = team.policies["openai:m@http://127.0.0.1:9/v1"]
    assert isinstance(policy, OpenAIPolicy)
    assert policy.base_url == "http://127.0.0.1:9/v1"
    await team.aclose()
    await team.aclose()


def test_unknown_micro_models_are_listed():
    with pytest.raises(AgentSpecError, match=r"micro:nope.*there are"):
        build_team([agent("a", "micro:nope")])


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "mars2.agents.hf", raising=False)
    monkeypatch.delattr("mars2.agents.hf", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(AgentSpecError, match=r"pip install 'mars2\[hf\]'"):
        build_team([agent("a", "hf:somewhere")])


def test_the_light_modules_import_no_torch():
    modules = "agents.team, agents.openai, agents.scripted, agents.spec, agents.roles, prompts"
    imports = "; ".join(f"import mars2.{m.strip()}" for m in modules.split(","))
    heavy = "{'torch', 'transformers', 'numpy'} & set(sys.modules)"
    code = f"import sys; {imports}; sys.exit(str({heavy}) if {heavy} else 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --------------------------------------------------------------------------- scripted


async def ask(policy: ScriptedPolicy, seed: int = 0) -> Generation:
    return await policy.generate(ASK, Sampling(), seed=seed)


async def test_built_in_scripts():
    texts = {name: (await ask(load_scripted("s", name))).text for name in NAMED}
    assert texts["echo"] == "Print 1."
    assert texts["empty"] == ""
    assert extract_code(texts["prose"]) is None


async def test_lists_functions_and_coroutines():
    listed = ScriptedPolicy("s", ["a", "b"])
    assert [(await ask(listed)).text for _ in range(3)] == ["a", "b", "a"]
    assert (
        await ask(ScriptedPolicy("s", lambda m, seed: f"{m[0].content}{seed}"), 4)
    ).text == "Print 1.4"

    async def later(messages, seed):
        return Generation(text="mine", finish_reason="length")

    assert (await ask(ScriptedPolicy("s", later))).finish_reason == "length"


async def test_scripted_logprobs_are_consistent():
    got = await ask(ScriptedPolicy("s", ["xy"], has_logprobs=True, logprob=-2.0))
    assert got.token_ids == (120, 121)
    assert got.logprobs == (-2.0, -2.0)
    assert got.prompt_ids


async def test_a_failing_script_fails_one_request():
    def answer(messages, seed):
        if seed == 1:
            raise KeyError("oops")
        return 5 if seed == 2 else "fine"

    policy = ScriptedPolicy("s", answer)
    with pytest.raises(GenerationError, match="KeyError"):
        await ask(policy, 1)
    with pytest.raises(GenerationError, match="answered with int"):
        await ask(policy, 2)
    assert (await ask(policy, 3)).text == "fine"
    with pytest.raises(ValueError, match="no answers"):
        ScriptedPolicy("s", [])


async def test_a_script_file(tmp_path):
    path = tmp_path / "play.py"
    path.write_text("def answer(messages, seed):\n    return f'print({seed})'\n")
    assert (await ask(load_scripted("s", str(path)), 3)).text == "print(3)"
    path.write_text("x = 1\n")
    with pytest.raises(AgentSpecError, match="defines no function answer"):
        load_scripted("s", str(path))
    path.write_text("1 / 0\n")
    with pytest.raises(AgentSpecError, match="ZeroDivisionError"):
        load_scripted("s", str(path))
    with pytest.raises(AgentSpecError, match="no such file"):
        load_scripted("s", str(tmp_path / "none.py"))
    with pytest.raises(AgentSpecError, match=r"unknown name.*echo"):
        load_scripted("s", "nope")


def test_gpus_of_vllm_servers_are_for_policies_that_have_one() -> None:
    agents = [AgentConfig(name="a", spec="scripted:echo", policy="echo")]
    settings = VllmConfig(devices={"echo": [0, 1]})
    with pytest.raises(AgentSpecError, match=r"vllm.devices names 'echo'.*policies are none"):
        build_team(agents, vllm=settings)


@pytest.mark.parametrize(
    ("devices", "said"),
    [
        ({"a": [0, 1], "b": [1]}, "GPU 1 is given to 'a' and to 'b'"),
        ({"a": [2, 2]}, "GPU 2 is given to 'a' twice"),
        ({"a": []}, "vllm.devices.a"),
        ({"a": [-1]}, "vllm.devices.a.0"),
    ],
)
def test_gpus_of_vllm_servers_are_apart(devices: dict[str, list[int]], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_config(base={"vllm": {"devices": devices}})


def test_a_vllm_server_sees_its_gpus_and_spreads_over_them() -> None:
    server = Server("python", "m", "t", "bfloat16", 8, VllmConfig(), [4, 5])
    try:
        assert server.environment()["CUDA_VISIBLE_DEVICES"] == "4,5"
        command = list(server.command("m"))
        assert command[command.index("--tensor-parallel-size") + 1] == "2"
    finally:
        server.stop()
    server = Server("python", "m", "t", "bfloat16", 8, VllmConfig())
    server.stop()
    assert "CUDA_VISIBLE_DEVICES" not in server.environment()
    assert "--tensor-parallel-size" not in server.command("m")
