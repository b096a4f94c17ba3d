"""What a real `mars2 train` tells: metrics over a socket, traces, the log; and it is all true."""

from __future__ import annotations

import json
import socket
import sys
import urllib.request
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from mars2 import telemetry
from mars2.cli.main import main
from mars2.search.journal import read_journal
from mars2.telemetry.metrics import MetricsServer
from mars2.telemetry.traces import TraceSink
from mars2.training.ledger import read_ledger

SETTINGS = """
seed = 5
[problems]
train = "lab:lists"
[search]
nodes = 4
[learner]
lr = 1e-3
min_samples = 2
[train]
steps = 2
trees_per_step = 3
[[agents]]
name = "lark"
spec = "micro:lark"
policy = "wood"
max_tokens = 24
[[agents]]
name = "loom"
spec = "micro:loom"
max_tokens = 24
"""


@dataclass
class Observed:
    run: Path
    scraped: str = ""
    spans: list[Any] = field(default_factory=list)

    @property
    def nodes(self) -> list[dict[str, Any]]:
        events = read_journal(self.run / "journal.jsonl")
        return [e["node"] for e in events if e["event"] == "tell"]

    @property
    def updates(self) -> list[dict[str, Any]]:
        return [r for r in read_ledger(self.run / "updates.jsonl") if r["event"] == "update"]

    @property
    def trees(self) -> set[str]:
        return {e["tree"] for e in read_journal(self.run / "journal.jsonl") if "tree" in e}

    def rows(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.run / name).read_text().splitlines()]


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """A run, and what was heard of it by those listeners whose packages are there."""
    folder = tmp_path_factory.mktemp("observed")
    (folder / "settings.toml").write_text(SETTINGS)
    seen = Observed(folder / "run")
    with ExitStack() as listening:
        server = exporter = None
        if find_spec("prometheus_client"):
            server = MetricsServer("127.0.0.1", 0)
            listening.callback(server.close)
            listening.enter_context(telemetry.add_sink(server.sink))
        if find_spec("opentelemetry") and find_spec("opentelemetry.sdk"):
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import SimpleSpanProcessor
            from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

            exporter = InMemorySpanExporter()
            provider = TracerProvider()
            provider.add_span_processor(SimpleSpanProcessor(exporter))
            listening.enter_context(telemetry.add_sink(TraceSink(provider)))
        with pytest.raises(SystemExit) as ended:
            main(["train", "--config", f"{folder}/settings.toml", "--out", str(seen.run)])
        assert ended.value.code == 0
        if server is not None:
            with urllib.request.urlopen(server.url) as answer:
                assert answer.headers["Content-Type"].startswith("text/plain; version=")
                seen.scraped = answer.read().decode()
        if exporter is not None:
            seen.spans = list(exporter.get_finished_spans())
    return seen


@pytest.fixture
def samples(observed: Observed) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    parser = pytest.importorskip("prometheus_client.parser", reason="needs mars2[metrics]")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parser.text_string_to_metric_families(observed.scraped)
        for sample in family.samples
    }


def labelled(samples: Any, name: str, *labels: str) -> dict[Any, float]:
    """Values of a metric that are not 0, by the values of these labels."""
    found = {}
    for (sample, pairs), value in samples.items():
        if sample == f"mars2_{name}" and value:
            values = tuple(dict(pairs)[label] for label in labels)
            found[values[0] if len(values) == 1 else values] = value
    return found


def test_metrics_of_nodes_are_those_of_the_journal(observed: Observed, samples: Any) -> None:
    nodes = observed.nodes
    assert len(nodes) >= 24
    assert labelled(samples, "nodes_total", "agent", "status") == Counter(
        (n["agent"], n["verdict"]["status"]) for n in nodes
    )
    agents = Counter(n["agent"] for n in nodes)
    assert labelled(samples, "generation_seconds_count", "agent") == agents
    tokens: Counter[str] = Counter()
    for node in nodes:
        tokens[node["agent"]] += len(node["generation"]["token_ids"])
    assert labelled(samples, "generated_tokens_total", "agent") == tokens
    verdicts = Counter(n["verdict"]["status"] for n in nodes)
    assert labelled(samples, "verdicts_total", "status") == verdicts
    assert samples["mars2_verdict_seconds_count", frozenset()] == len(nodes)
    ran = sum(n["verdict"]["seconds"] for n in nodes)
    assert samples["mars2_program_seconds_sum", frozenset()] == pytest.approx(ran)
    assert sum(labelled(samples, "trees_total", "outcome").values()) == len(observed.trees)
    assert samples["mars2_trees_open", frozenset()] == 0
    assert samples["mars2_expansions_open", frozenset()] == 0


def test_metrics_of_training_are_those_of_the_run(observed: Observed, samples: Any) -> None:
    lines = observed.rows("metrics.jsonl")
    updates = Counter(u["policy"] for u in observed.updates)
    assert updates
    assert labelled(samples, "updates_total", "policy") == updates
    assert labelled(samples, "update_seconds_count", "policy") == updates
    learned: Counter[str] = Counter()
    for update in observed.updates:
        learned[update["policy"]] += sum(len(n) for n in update["samples"].values())
    assert labelled(samples, "samples_learned_total", "policy") == learned
    assert labelled(samples, "staleness_count", "policy") == learned
    versions = {p: row["version"] for p, row in lines[-1]["policies"].items() if row["version"]}
    assert labelled(samples, "policy_version", "policy") == versions
    waiting = {p: row["waiting"] for p, row in lines[-1]["policies"].items() if row["waiting"]}
    assert labelled(samples, "buffer_samples", "policy") == waiting
    assert samples["mars2_step", frozenset()] == samples["mars2_steps", frozenset()] == 2
    assert samples["mars2_reward_mean", frozenset()] == lines[-1]["trees"]["reward"]
    assert samples["mars2_checkpoint_seconds_count", frozenset()] == 2
    dropped = samples["mars2_trees_without_signal_total", frozenset()]
    assert dropped == sum(line["trees"]["dropped_groups"] for line in lines)
    (info,) = [dict(pairs) for name, pairs in samples if name == "mars2_run_info"]
    assert (info["run"], info["command"]) == ("run", "train")


def test_a_trace_has_the_run_as_it_was(observed: Observed) -> None:
    pytest.importorskip("opentelemetry.sdk", reason="needs mars2[otel]")
    by_id = {s.context.span_id: s for s in observed.spans}
    assert len({s.context.trace_id for s in observed.spans}) == 1

    def above(span: Any) -> list[str]:
        return [] if span.parent is None else [above_name(span), *above(by_id[span.parent.span_id])]

    def above_name(span: Any) -> str:
        return by_id[span.parent.span_id].name

    paths = Counter((s.name, *above(s)) for s in observed.spans)
    nodes, trees = len(observed.nodes), len(observed.trees)
    assert paths == {
        ("run",): 1,
        ("step", "run"): 2,
        ("tree", "step", "run"): trees,
        ("expansion", "tree", "step", "run"): nodes,
        ("generate", "expansion", "tree", "step", "run"): nodes,
        ("verify", "expansion", "tree", "step", "run"): nodes,
        ("update", "step", "run"): len(observed.updates),
        ("publish", "update", "step", "run"): len(observed.updates),
        ("checkpoint", "step", "run"): 2,
    }
    asked = Counter(
        (s.attributes["mars2.tree"], s.attributes["mars2.node"], s.attributes["mars2.agent"])
        for s in observed.spans
        if s.name == "generate"
    )
    assert asked == Counter((n["tree_id"], n["node_id"], n["agent"]) for n in observed.nodes)
    for span in observed.spans:
        if span.name == "expansion":
            parent = by_id[span.parent.span_id]
            assert span.attributes["mars2.tree"] == parent.attributes["mars2.tree"]


def test_the_log_lies_in_the_run_directory(observed: Observed) -> None:
    found = observed.rows("log.jsonl")
    said = Counter(r["message"] for r in found)
    assert found[0]["message"] == "run directory"
    assert found[-1]["message"] == "run ended"
    assert found[-1]["status"] == "ended"
    assert said["tree begun"] == said["tree ended"] == len(observed.trees)
    assert said["step closed"] == said["checkpoint ended"] == 2
    assert said["update ended"] == said["publish ended"] == len(observed.updates)
    assert {r["run"] for r in found} == {"run"}
    first = {int(t.partition("/")[0]): t for t in observed.trees}[0]
    begun = next(r for r in found if r.get("tree") == first)
    assert (begun["step"], begun["problem"]) == (1, first.partition("/")[2])


def test_a_port_that_is_taken_is_refused_before_anything_starts(mars2, tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client", reason="needs mars2[metrics]")
    (tmp_path / "settings.toml").write_text(SETTINGS)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = mars2(
            *("train", "--config", "settings.toml", "--out", "run", "--metrics-port", port)
        )
    assert done.code == 2
    assert f"metrics cannot be served at 127.0.0.1:{port}: Address already in use" in done.err
    assert not (tmp_path / "run").exists()


def test_metrics_without_their_package_say_what_to_install(
    mars2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    (tmp_path / "settings.toml").write_text(SETTINGS)
    done = mars2("train", "--config", "settings.toml", "--out", "run", "--metrics-port", 0)
    assert done.code == 2
    assert "pip install 'mars2[metrics]'" in done.err


def test_what_an_evaluation_tells_is_told_of_the_right_tree(mars2, tmp_path: Path) -> None:
    """Its trees share places, so that their expansions begin in each other's tasks."""
    done = mars2(
        *("eval", "lab:lists", "--limit", 4, "--samples", 2, "--budget", 4, "--out", "run"),
        *("--agent", "lark=micro:lark", "--agent", "loom=micro:loom", "--max-tokens", 24),
        *("--set", "search.concurrency=3", "--log-level", "debug", "--log-file", "eval.log"),
    )
    assert done.code == 0, done.err
    found = [json.loads(line) for line in (tmp_path / "eval.log").read_text().splitlines()]
    nodes = Observed(tmp_path / "run").nodes
    asked = [r for r in found if r["message"] == "generate ended"]
    assert len(asked) == len(nodes) == 4 * (2 + 2 + 4)
    assert {(r["tree"], r["node"], r["agent"]) for r in asked} == {
        (n["tree_id"], n["node_id"], n["agent"]) for n in nodes
    }
    assert all(r["tree"].partition("/")[2].endswith(f"/{r['problem']}") for r in asked)
    ends = [r["outcome"] for r in found if r["message"] == "tree ended"]
    assert len(ends) == 12
    assert set(ends) <= {"solved", "unsolved"}
    assert not (tmp_path / "run" / "log.jsonl").exists()
