"""The frozen rollouts that benchmarks and the parity test train on are what they say."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from mars2.config import CreditConfig
from mars2.lab.specs import weights_dir
from mars2.training.forward import output_logprobs
from mars2.training.packing import pack

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import rollouts


@torch.no_grad()
def test_the_shipped_weights_wrote_the_lab_s():
    rows = rollouts.samples("lab", "lark")[:16]
    model = AutoModelForCausalLM.from_pretrained(weights_dir("lark"), dtype=torch.float32).eval()
    for row, sample in zip(output_logprobs(model, rows), rows, strict=True):
        torch.testing.assert_close(
            row[: len(sample.token_ids)], torch.tensor(sample.logprobs), atol=1e-4, rtol=1e-4
        )


@pytest.mark.parametrize(
    ("source", "policies"), [("lab", ["lark", "loom"]), ("smollm2", ["smollm2"])]
)
def test_advantages_of_whole_trees_sum_to_nothing(source, policies):
    """Raw rewards, so that the groups are what TRL's are: whole trees, across policies."""
    totals: dict[str, float] = {}
    for policy in policies:
        for s in rollouts.samples(source, policy, CreditConfig(shaping_gamma=0)):
            totals[s.tree_id] = totals.get(s.tree_id, 0.0) + s.advantage
    assert len(totals) > 10
    assert all(abs(total) < 1e-6 for total in totals.values())


def test_written_and_read_again(tmp_path):
    nodes = rollouts.read(rollouts.SOURCES["lab"])[:8]
    rollouts.write(nodes, tmp_path / "again.jsonl.gz")
    assert rollouts.read(tmp_path / "again.jsonl.gz") == nodes


def test_trees_share_enough_to_be_worth_packing():
    rows = rollouts.samples("smollm2", "smollm2")
    apart = sum(len(s.prompt_ids) + len(s.token_ids) for s in rows)
    assert len(pack(rows).tokens) < 0.7 * apart
