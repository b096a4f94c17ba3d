"""What training needs of a place to compute, and the way into each.

The loop sees a team, a verifier and a maker of learners; whether they are in this process or
stand for actors elsewhere is decided here alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from sys import stderr
from typing import TYPE_CHECKING

from mars2.agents.team import Team, build_team
from mars2.config import RunConfig
from mars2.errors import UsageError
from mars2.verifier import AnyVerifier, make_verifier

if TYPE_CHECKING:
    from mars2.training.learning import MakeLearner


@dataclass(frozen=True, slots=True)
class Runtime:
    """The parts of one run, each to be opened once.

    Whoever asks for the team or the verifier closes it; `open_runtime` gives back the rest.
    """

    team: Callable[[], Team]
    verifier: Callable[[], AnyVerifier]
    make_learner: MakeLearner


@contextmanager
def open_runtime(config: RunConfig, say: Callable[[str], None]) -> Iterator[Runtime]:
    """The runtime that `config.runtime` asks for, until the block ends.

    Args:
        say: told in a line what a user should know: where it runs, what was started again.

    Raises:
        UsageError: Ray is not installed, or cannot do what is set.
        RuntimeLostError: there is no cluster at the address, or it lacks what is asked of it.
    """
    if config.runtime.kind == "local":
        from mars2.training.sharded import learners

        with learners(config.learner) as make_learner:
            yield Runtime(
                lambda: build_team(config.agents, train=True, vllm=config.vllm),
                lambda: make_verifier(config.verifier),
                make_learner,
            )
        return
    if config.learner.shards > 1:
        raise UsageError(
            f"learner.shards is {config.learner.shards}, but a learner on Ray is one actor: set "
            "learner.shards = 1, or --runtime local (docs/sharded.md)"
        )
    try:
        import ray  # noqa: F401
    except ImportError as error:
        raise UsageError(f"--runtime ray needs Ray: pip install 'mars2[ray]' ({error})") from None
    from mars2.runtime.cluster import cluster
    from mars2.runtime.crew import Crew

    # Ray prints what it has to say on stdout, which belongs to data.
    with redirect_stdout(stderr), cluster(config, say) as opened, Crew(config, opened, say) as crew:
        yield Runtime(crew.team, crew.verifier, crew.make_learner)
