"""Where the parts of a training run compute. Nothing here changes what comes out of a run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mars2.config.section import Section


class RuntimeConfig(Section):
    """`kind` "local": everything in this process. "ray": policies, learners and verifiers are
    actors of a Ray cluster (docs/ray.md): of the run's own on this machine, or at `address`.

    CPUs and GPUs are those that Ray reserves an actor. A policy's actors are placed together, its
    replicas share its requests; verifiers are spread over nodes, each with `verifier.workers`.
    `restarts` of an actor in a row, without an answer in between, end the run. One that gives no
    sign of life for `hang_timeout_s`, which it does beside its work, counts as dead.
    """

    kind: Literal["local", "ray"] = "local"
    address: str | None = None  # HOST:PORT, ray://HOST:PORT or "auto"
    cpus: int | None = Field(default=None, gt=0)  # of an own cluster; None: as many as are asked
    replicas: int = Field(default=1, gt=0)  # inference actors a policy
    inference_cpus: float = Field(default=1, ge=0)
    inference_gpus: float = Field(default=0, ge=0)
    learner_cpus: float = Field(default=1, ge=0)
    learner_gpus: float = Field(default=0, ge=0)
    verifiers: int = Field(default=1, gt=0)  # verifier actors
    verifier_cpus: float = Field(default=1, ge=0)
    placement_timeout_s: float = Field(default=60, gt=0)  # for a cluster to have what is asked
    restarts: int = Field(default=3, ge=0)
    hang_timeout_s: float = Field(default=120, ge=0)  # 0: for ever
