"""The actors of a run: what is asked of the cluster, who stands for whom, how each is restarted.

A policy has one placement group for its inference actors and its learner, so that weights travel a
short way; verifiers have one of their own, spread over the nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from mars2.agents.base import Policy
from mars2.agents.spec import parse_spec
from mars2.agents.team import Team, build_team, make_policy
from mars2.config import AgentConfig, RunConfig
from mars2.errors import LearnerLostError, RuntimeLostError, UsageError
from mars2.runtime import cluster
from mars2.runtime.actors import InferenceActor, LearnerActor, VerifierActor
from mars2.runtime.cluster import Bundle, Cluster
from mars2.runtime.judges import RemoteJudges
from mars2.runtime.learner import RemoteLearner
from mars2.runtime.policy import RemotePolicy
from mars2.runtime.pulse import Watch
from mars2.runtime.supervision import Member, begin_all
from mars2.training.learner import local_learner
from mars2.training.learning import LearnerSetup, Learning
from mars2.training.publication import TrainablePolicy
from mars2.verifier import AnyVerifier, make_verifier

_VERIFIERS = "verifiers"


class Crew:
    """Starts what answers when entered, learners when they are asked for; ends all on leaving."""

    def __init__(self, config: RunConfig, opened: Cluster, say: Callable[[str], None]) -> None:
        self.config = config
        self.settings = config.runtime
        self._cluster = opened
        self._say = say
        self._owners = _remote(config)  # policy → the first agent that has it
        self._judging = config.verifier.backend in ("local", "bwrap")
        self._groups: dict[str, Any] = {}
        self._replicas: dict[str, list[Member[Any]]] = {}
        self._facts: dict[str, Any] = {}
        self._published: dict[str, list[tuple[Any, int]]] = {}
        self._judges: list[Member[Any]] = []
        self._learners: list[Member[Any]] = []
        self._warned: set[str] = set()
        self._watch = Watch(
            lambda: [*self._learners, *self._members()],
            cluster.ping,
            cluster.answered,
            cluster.end,
            timeout_s=self.settings.hang_timeout_s,
            say=say,
        )

    # ------------------------------------------------------------------ beginning and end

    def __enter__(self) -> Self:
        settings = self.settings
        inference = _bundle(settings.inference_cpus, settings.inference_gpus)
        learner = _bundle(settings.learner_cpus, settings.learner_gpus)
        judge = _bundle(settings.verifier_cpus, 0)
        wanted = {
            _policy(name): [inference] * settings.replicas + [learner] * (agent.train is not False)
            for name, agent in self._owners.items()
        }
        strategies = dict.fromkeys(wanted, "PACK")
        if self._judging:
            wanted[_VERIFIERS] = [judge] * settings.verifiers
            strategies[_VERIFIERS] = "SPREAD"
        self._groups = self._cluster.reserve(wanted, strategies)
        for name, agent in self._owners.items():
            self._published[name] = []
            self._replicas[name] = [
                self._replica(name, agent, inference, i) for i in range(settings.replicas)
            ]
        if self._judging:
            self._judges = [self._judge(judge, i) for i in range(settings.verifiers)]
        self._watch.start()
        try:
            begin_all(self._members())
        except BaseException:
            self._watch.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watch.stop()
        for member in [*self._learners, *self._members()]:
            member.close()

    def _members(self) -> list[Member[Any]]:
        return [*self._judges, *(m for members in self._replicas.values() for m in members)]

    # ------------------------------------------------------------------ what training asks for

    def team(self) -> Team:
        """The team, whose policies with weights are in actors; endpoints are asked from here."""
        return build_team(self.config.agents, train=True, vllm=self.config.vllm, make=self._policy)

    def verifier(self) -> AnyVerifier:
        """All verifier actors as one; a server's verdicts are asked for from here."""
        if not self._judging:
            return make_verifier(self.config.verifier)
        return RemoteJudges(self.config.verifier, self._judges)

    def make_learner(self, setup: LearnerSetup, policy: TrainablePolicy) -> Learning:
        """The learner of a policy, in an actor, with the weights that the policy started from. That
        of a policy whose engine is asked from here is here."""
        settings = self.settings
        if setup.policy not in self._owners:
            return local_learner(setup, policy)
        agent = _placed(self._owners[setup.policy], settings.learner_gpus, "learner_gpus")
        resources = _bundle(settings.learner_cpus, settings.learner_gpus)
        group = self._groups[_policy(setup.policy)]
        learner = RemoteLearner(setup, concurrent=not 0 < settings.learner_gpus < 1)
        member = self._member(
            f"the learner of {setup.policy}",
            lambda: self._cluster.actor(LearnerActor, group, settings.replicas, resources),
            lambda actor: learner.restore(actor, setup, agent),
            LearnerLostError,
        )
        self._learners.append(member)
        learner.attach(member)
        member.begin()
        return learner

    def _policy(self, name: str, agent: AgentConfig) -> Policy:
        if name not in self._owners:
            return make_policy(name, agent, self.config.vllm)
        return RemotePolicy(name, self._replicas[name], self._facts[name], self._published[name])

    # ------------------------------------------------------------------ members

    def _replica(self, name: str, agent: AgentConfig, resources: Bundle, index: int) -> Member[Any]:
        placed = _placed(agent, self.settings.inference_gpus, "inference_gpus")

        def prepare(actor: Any) -> None:
            self._facts[name] = cluster.wait(actor.start.remote(name, placed))
            for published in self._published[name]:
                cluster.wait(actor.load_weights.remote(*published))

        group = self._groups[_policy(name)]
        return self._member(
            f"inference actor {index + 1} of {name}",
            lambda: self._cluster.actor(InferenceActor, group, index, resources),
            prepare,
            RuntimeLostError,
        )

    def _judge(self, resources: Bundle, index: int) -> Member[Any]:
        def prepare(actor: Any) -> None:
            for line in cluster.wait(actor.start.remote(self.config.verifier)):
                if line not in self._warned:
                    self._warned.add(line)
                    self._say(line)

        group = self._groups[_VERIFIERS]
        return self._member(
            f"verifier actor {index + 1}",
            lambda: self._cluster.actor(VerifierActor, group, index, resources),
            prepare,
            RuntimeLostError,
        )

    def _member(
        self,
        name: str,
        create: Callable[[], Any],
        prepare: Callable[[Any], object],
        lost: Callable[[str], Exception],
    ) -> Member[Any]:
        return Member(
            name,
            create,
            prepare,
            cluster.end,
            restarts=self.settings.restarts,
            lost=lost,
            say=self._say,
        )


def _remote(config: RunConfig) -> dict[str, AgentConfig]:
    """Policy → its first agent, of the policies that have weights to place."""
    owners: dict[str, AgentConfig] = {}
    for agent in config.agents:
        if parse_spec(agent.spec).backend in ("hf", "micro"):
            owners.setdefault(agent.policy or agent.spec, agent)
    return owners


def _placed(agent: AgentConfig, gpus: float, setting: str) -> AgentConfig:
    """The agent's settings where its actor has so many GPUs.

    Raises:
        UsageError: it is told to be on one, and its actor has none.
    """
    if gpus:
        return agent
    if agent.device not in ("auto", "cpu"):
        raise UsageError(
            f"agent {agent.name!r} has device {agent.device!r}, but runtime.{setting} is 0: set it "
            "to what an actor shall have, for example 1"
        )
    return agent.model_copy(update={"device": "cpu"})


def _policy(name: str) -> str:
    return f"policy {name}"


def _bundle(cpus: float, gpus: float) -> Bundle:
    """Ray refuses an empty one."""
    return {n: c for n, c in (("CPU", cpus), ("GPU", gpus)) if c} or {"CPU": 0.001}
