from __future__ import annotations

import asyncio
import email.utils
import socket
import time

import pytest
from fake_endpoint import FakeEndpoint, Reply, completion, error

from mars2.agents.openai import OpenAIPolicy
from mars2.errors import EndpointDownError, GenerationError
from mars2.prompts import extract_code
from mars2.types import Message, Sampling, Usage

ASK = [Message("system", "Be brief."), Message("user", "Print 1.")]


class Sleeper:
    """Records waits and takes no time."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def policy(url: str, **options) -> OpenAIPolicy:
    return OpenAIPolicy("p", "tiny", base_url=url, sleep=Sleeper(), **options)


async def ask(made: OpenAIPolicy, **sampling):
    try:
        return await made.generate(ASK, Sampling(**sampling), seed=2**62 + 5)
    finally:
        await made.aclose()


async def test_request_and_answer():
    with FakeEndpoint(completion()) as server:
        got = await ask(policy(server.url), temperature=0.7, top_p=0.9, max_tokens=33)
    (body,) = server.requests
    assert body["model"] == "tiny"
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.7, 0.9, 33)
    assert 0 <= body["seed"] < 2**31
    assert "logprobs" not in body
    assert "n" not in body
    assert got.text.startswith("```python")
    assert got.usage == Usage(7, 5)
    assert got.finish_reason == "stop"
    assert got.token_ids is None
    assert not OpenAIPolicy.has_logprobs


async def test_a_local_endpoint_works_without_a_key_and_the_environment_names_one(monkeypatch):
    with FakeEndpoint(completion()) as server:
        await ask(policy(server.url))
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "k1")
        await ask(OpenAIPolicy("p", "tiny"))
    assert server.keys == ["Bearer EMPTY", "Bearer k1"]


@pytest.mark.parametrize("status", [500, 502, 503, 408, 409])
async def test_a_server_error_is_retried(status):
    with FakeEndpoint(error(status, "hiccup"), completion()) as server:
        made = policy(server.url)
        assert (await ask(made)).text
        assert len(server.requests) == 2
        assert len(made._sleep.waits) == 1


async def test_backoff_grows_and_gives_up_with_the_reason():
    with FakeEndpoint(error(500, "broken pipe")) as server:
        made = policy(server.url, retries=3)
        with pytest.raises(GenerationError, match=r"500: .*broken pipe.* 4 attempts") as caught:
            await ask(made)
        assert not isinstance(caught.value, EndpointDownError)
        assert len(server.requests) == 4
        waits = made._sleep.waits
        assert len(waits) == 3
        assert waits[0] < waits[1] < waits[2]


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_rate_limits_wait_as_long_as_told(form):
    value = "7" if form == "seconds" else email.utils.formatdate(time.time() + 8, usegmt=True)
    with FakeEndpoint(error(429, "slow down", retry_after=value), completion()) as server:
        made = policy(server.url)
        assert (await ask(made)).text
        (wait,) = made._sleep.waits
        assert 5 < wait <= 8


async def test_one_rate_limit_holds_back_other_requests():
    with FakeEndpoint(error(429, "slow", retry_after="30"), completion()) as server:
        made = policy(server.url)
        await made.generate(ASK, Sampling(), seed=1)
        await ask(made)  # a later request waits, too
        assert len(made._sleep.waits) == 2
        assert made._sleep.waits[1] > 20


async def test_an_absurd_retry_after_is_capped():
    with FakeEndpoint(error(429, "slow", retry_after="86400"), completion()) as server:
        made = policy(server.url)
        await ask(made)
        assert made._sleep.waits[0] <= 60


async def test_a_timeout_ends_one_request():
    with FakeEndpoint(Reply(hang=True)) as server:
        with pytest.raises(GenerationError, match=r"no answer in 0\.2 s"):
            await ask(policy(server.url, timeout_s=0.2))
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    "broken",
    [
        Reply(body='{"choices": [{"mess'),
        Reply(body="<html>gateway</html>", headers={"content-type": "text/html"}),
        Reply(body={"choices": []}),
        Reply(body={"answer": 1}),
        Reply(body=[1]),
        Reply(body="null"),
        completion({"a": 1}),  # type: ignore[arg-type]
    ],
)
async def test_malformed_answers_are_retried_then_reported(broken):
    with FakeEndpoint(broken, completion()) as server:
        assert (await ask(policy(server.url))).text
    with FakeEndpoint(broken) as server, pytest.raises(GenerationError, match="3 attempts"):
        await ask(policy(server.url, retries=2))


async def test_missing_usage_and_null_content_are_data():
    with FakeEndpoint(completion(None, usage=None)) as server:
        got = await ask(policy(server.url))
    assert got.text == ""
    assert extract_code(got.text) is None
    assert got.usage == Usage(0, 0)


async def test_a_cut_answer_says_so():
    with FakeEndpoint(completion("x", finish_reason="length")) as server:
        assert (await ask(policy(server.url))).finish_reason == "length"


async def test_logprobs_only_if_asked():
    reply = completion("x")
    reply.body["choices"][0]["logprobs"] = {"content": [{"token": "x", "logprob": -0.5}]}
    with FakeEndpoint(reply) as server:
        assert (await ask(policy(server.url, logprobs=True))).logprobs == (-0.5,)
        assert server.requests[-1]["logprobs"] is True
        assert (await ask(policy(server.url))).logprobs is None


@pytest.mark.parametrize(
    ("status", "advice"), [(401, "OPENAI_API_KEY"), (403, "OPENAI_API_KEY"), (404, "/v1")]
)
async def test_refusals_are_final_and_say_what_to_do(status, advice):
    with FakeEndpoint(error(status, "nope")) as server:
        with pytest.raises(EndpointDownError, match=advice) as caught:
            await ask(policy(server.url))
        assert "nope" in str(caught.value)
        assert server.url in str(caught.value)
        assert len(server.requests) == 1


async def test_a_dead_endpoint_is_named():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    made = policy(url)
    with pytest.raises(EndpointDownError, match="cannot be reached") as caught:
        await ask(made)
    assert url in str(caught.value)
    assert "doctor" in str(caught.value)
    assert len(made._sleep.waits) == 1
    with pytest.raises(EndpointDownError):
        await policy(url).check()


async def test_no_endpoint_at_all_is_explained():
    with pytest.raises(EndpointDownError, match="OPENAI_BASE_URL"):
        await ask(OpenAIPolicy("p", "tiny"))


async def test_other_client_errors_end_the_request_without_retry():
    with FakeEndpoint(error(400, "context length exceeded")) as server:
        with pytest.raises(GenerationError, match="context length exceeded"):
            await ask(policy(server.url))
        assert len(server.requests) == 1


async def test_an_endpoint_with_other_parameter_names_is_learned_once():
    def picky(body):
        if "max_tokens" in body:
            return error(400, "Unsupported parameter: use 'max_completion_tokens' instead.")
        if "seed" in body:
            return error(400, "Unsupported parameter: 'seed'.")
        return completion()

    with FakeEndpoint(respond=picky) as server:
        made = policy(server.url)
        answers = await asyncio.gather(
            *(made.generate(ASK, Sampling(max_tokens=9), seed=i) for i in range(5))
        )
        assert all(a.text for a in answers)
        before = len(server.requests)
        await ask(made, max_tokens=9)
        assert len(server.requests) == before + 1
        assert server.requests[-1]["max_completion_tokens"] == 9


async def test_one_failed_request_leaves_the_others():
    def respond(body):
        bad = "fail" in body["messages"][-1]["content"]
        return error(400, "no") if bad else completion()

    with FakeEndpoint(respond=respond) as server:
        made = policy(server.url)
        results = await asyncio.gather(
            *(
                made.generate([Message("user", text)], Sampling(), seed=0)
                for text in ("a", "fail", "b")
            ),
            return_exceptions=True,
        )
        await made.aclose()
    assert [isinstance(r, GenerationError) for r in results] == [False, True, False]


async def test_check_lists_models_and_names_a_missing_one():
    with FakeEndpoint(completion()) as server:
        assert await policy(server.url).check() == ["tiny"]
        server.models = Reply(body={"data": [{"id": "other"}]})
        with pytest.raises(EndpointDownError, match=r"no model 'tiny'; it has other"):
            await policy(server.url).check()
        server.models = error(404, "not implemented")
        assert await policy(server.url).check() == []
        server.models = Reply(body="[]")
        with pytest.raises(GenerationError, match="list of models"):
            await policy(server.url, retries=0).check()


def test_a_policy_outlives_an_event_loop():
    with FakeEndpoint(completion()) as server:
        made = policy(server.url)
        for _ in range(2):
            assert asyncio.run(made.generate(ASK, Sampling(), seed=1)).text
        asyncio.run(made.aclose())
