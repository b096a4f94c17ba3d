"""Samples wait, go stale, survive a checkpoint, and never mix policies."""

from __future__ import annotations

import pytest
from training_kit import samples

from mars2.errors import TrainingError
from mars2.training.buffer import SampleBuffer
from mars2.training.sample import sample_from_json, sample_to_json


def test_first_in_first_out_and_remainders_stay():
    buffer, rows = SampleBuffer("p", 2), samples(5)
    buffer.add(rows[:2])
    assert buffer.take(minimum=3) == []
    assert len(buffer) == 2
    buffer.add(rows[2:])
    assert buffer.take(minimum=3, maximum=4) == rows[:4]
    assert buffer.take() == rows[4:]
    assert len(buffer) == 0


def test_stale_samples_are_dropped_and_counted():
    buffer = SampleBuffer("p", 1)
    buffer.add(samples(2, version=0) + samples(3, version=1) + samples(1, version=2))
    assert buffer.drop_stale(1) == []
    assert [s.policy_version for s in buffer.drop_stale(2)] == [0, 0]
    assert len(buffer.drop_stale(3)) == 3
    assert (len(buffer), buffer.dropped) == (1, 5)


def test_the_oldest_of_too_many_give_way_and_are_counted():
    buffer, rows = SampleBuffer("p", 1), samples(5)
    buffer.add(rows)
    assert buffer.keep_newest(7) == []
    assert buffer.keep_newest(2) == rows[:3]
    assert (buffer.take(), buffer.dropped) == (rows[3:], 3)


def test_another_policy_is_refused_before_anything_is_added():
    buffer = SampleBuffer("p", 1)
    with pytest.raises(TrainingError, match="'q' was offered to the buffer of 'p'"):
        buffer.add([*samples(2), *samples(1, policy="q")])
    assert len(buffer) == 0


def test_saved_text_restores_everything_exactly():
    buffer = SampleBuffer("p", 1)
    buffer.add(samples(4, version=3))
    buffer.drop_stale(9)
    buffer.add(samples(4, version=9))
    again = SampleBuffer("p", 1)
    again.loads(buffer.dumps())
    assert again.dropped == 4
    assert again.take() == buffer.take()


def test_a_cut_or_foreign_buffer_is_refused():
    buffer = SampleBuffer("p", 1)
    buffer.add(samples(3))
    cut = "".join(buffer.dumps().splitlines(keepends=True)[:-1])
    with pytest.raises(TrainingError, match="2 of 3"):
        SampleBuffer("p", 1).loads(cut)
    with pytest.raises(TrainingError, match="'p'"):
        SampleBuffer("q", 1).loads(buffer.dumps())


def test_sample_json_names_unknown_and_missing_fields():
    row = sample_to_json(samples(1)[0])
    assert sample_from_json(row) == samples(1)[0]
    with pytest.raises(ValueError, match="extra"):
        sample_from_json({**row, "extra": 1})
    del row["reward"]
    with pytest.raises(ValueError, match="reward"):
        sample_from_json(row)


def test_a_sample_without_tokens_cannot_exist():
    row = sample_to_json(samples(1)[0])
    with pytest.raises(ValueError, match="needs prompt and output"):
        sample_from_json({**row, "token_ids": [], "logprobs": []})
    with pytest.raises(ValueError, match="log-probs for"):
        sample_from_json({**row, "logprobs": []})
    with pytest.raises(ValueError, match="temperature"):
        sample_from_json({**row, "temperature": 0.0})
