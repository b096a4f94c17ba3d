"""Settings that contradict each other are refused before anything runs, and say what to do."""

from __future__ import annotations

import pytest

from mars2.config import load_config
from mars2.config.elsewhere import ELSEWHERE
from mars2.errors import ConfigError

AGENT = "agents=[{name='a', spec='micro:lark', max_tokens=64}]"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            ["credit.overlong_max=100", "credit.overlong_buffer=200"],
            r"credit: overlong_buffer \(200\) is above overlong_max \(100\).* lower the buffer",
        ),
        (["credit.overlong_buffer=8.5"], "overlong_buffer is 8.5: give whole tokens, or a frac"),
        (
            [AGENT, "credit.overlong_buffer=80"],
            r"agent 'a': overlong_buffer \(80\) is above max_tokens \(64\)",
        ),
        (
            [AGENT, "credit.overlong_max=20480", "credit.overlong_buffer=4096"],
            "begins above 64 tokens, which no agent may write: set credit.overlong_max",
        ),
        (
            ["credit.truncated_coef=-0.5"],
            'truncated is "keep", which does not use it: set credit.truncated = "penalise"',
        ),
        (["credit.truncated=penalise", "credit.truncated_coef=1"], "truncated_coef.*less than 1"),
        (["objective.dual_clip=1"], r"objective\.dual_clip.*greater than 1"),
        (
            ["objective.correction_floor=2.5"],
            r"correction_floor \(2.5\) is not below correction_cap \(2\)",
        ),
        (
            ["objective.correction=off", "objective.correction_floor=0.5"],
            "correction_floor is 0.5, but correction is off: set objective.correction",
        ),
        (
            ["objective.kl_beta=0", "objective.kl_bias_correction=true"],
            "kl_beta is 0 and no KL is trained: set objective.kl_beta above 0",
        ),
        (
            ["credit.scale_rewards=batch", "train.mode=async"],
            'no batch: set one to "group" or the other to "sync"',
        ),
        (
            ["objective.loss_type=dapo"],
            "unknown key 'objective.loss_type'; here it is objective.normalisation",
        ),
        (["objective.nonsense=1"], "unknown key 'objective.nonsense'$"),
    ],
)
def test_contradictions(overrides: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_config(overrides=overrides)


def test_what_makes_sense_is_accepted() -> None:
    config = load_config(
        overrides=[
            AGENT,
            "credit.overlong_buffer=0.2",
            "credit.truncated=penalise",
            "credit.truncated_coef=-0.5",
            "objective.dual_clip=3",
            "objective.correction_floor=0.5",
            "objective.kl_estimator=k2",
        ]
    )
    assert config.credit.overlong_limits(64) == (64, pytest.approx(12.8))
    assert load_config().credit.overlong_limits(64) is None


def test_every_answer_to_a_foreign_name_is_a_setting_of_ours() -> None:
    sections = load_config().model_dump()
    for theirs, ours in ELSEWHERE.items():
        section, _, rest = ours.partition(".")
        name = rest.replace(":", " ").replace(",", " ").replace(";", " ").split()
        assert theirs not in sections.get(section, {}), theirs
        if name:
            assert name[0] in sections[section], (theirs, ours)
