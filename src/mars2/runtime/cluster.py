"""The one place that talks to Ray: a cluster, actors in placement groups, and its errors as ours.

A cluster of our own is started and stopped with the run, on this machine. However this process
ends, the kernel ends the cluster's with it, and these their actors within seconds. On a cluster
that was there before, Ray ends the actors of a driver that is gone.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mars2.config import RunConfig
from mars2.config.runtime import RuntimeConfig
from mars2.errors import RuntimeLostError
from mars2.runtime.supervision import Gone

Bundle = dict[str, float]

for _name, _value in {
    "RAY_USAGE_STATS_ENABLED": "0",  # tell nobody
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # what Ray will do anyway, and warns of otherwise
}.items():
    os.environ.setdefault(_name, _value)

import ray  # noqa: E402
from ray.exceptions import (  # noqa: E402
    ObjectLostError,
    RayActorError,
    RayTaskError,
    WorkerCrashedError,
)
from ray.util.placement_group import placement_group  # noqa: E402
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy  # noqa: E402

_REACH_S = 10.0
_ALIVE = "alive"
_GONE = (RayActorError, WorkerCrashedError, ObjectLostError)


def wait(refs: Any) -> Any:
    """The value of one reference or of several. Blocks.

    Raises:
        Gone: the actor died, or the object was lost with the node that had it.
        Exception: what the actor's method raised, as it was.
    """
    try:
        return ray.get(refs)
    except RayTaskError as error:
        raise error.cause from None
    except _GONE as error:
        raise Gone(_reason(error)) from None


async def answer(ref: Any) -> Any:
    """`wait` for one reference, in an event loop."""
    try:
        return await ref
    except RayTaskError as error:
        raise error.cause from None
    except _GONE as error:
        raise Gone(_reason(error)) from None


def put(value: Any) -> Any:
    """A reference to a value in the object store of this node."""
    return ray.put(value)


def keep_here(refs: Sequence[Any]) -> None:
    """Have the objects in the store of this node, where the death of another does not reach."""
    ray.wait(list(refs), num_returns=len(refs), fetch_local=True)


def end(actor: Any) -> None:
    """End an actor at once, also a dead one."""
    ray.kill(actor)


def ping(actor: Any) -> Any:
    """Ask an actor for a sign of life, which it gives beside its work; a reference."""
    return actor.ping.options(concurrency_group=_ALIVE).remote()


def answered(ref: Any) -> bool:
    """Whether a reference has its value or error."""
    return bool(ray.wait([ref], timeout=0)[0])


def _reason(error: Exception) -> str:
    """What Ray says of a death, in a line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    exits = [line for line in lines if "Worker exit type" in line]
    said = (exits or lines or [type(error).__name__])[-1]
    said = said.split("Worker exit detail: ")[-1].split(" Some common causes")[0]
    return said if len(said) < 300 else said[:300] + "…"


class Cluster:
    """A cluster that is open: makes actors.

    Args:
        own: it was started for this run.
    """

    def __init__(self, config: RuntimeConfig, own: bool) -> None:
        self.config = config
        self.own = own

    def reserve(
        self, wanted: dict[str, list[Bundle]], strategies: dict[str, str]
    ) -> dict[str, Any]:
        """A placement group a name, each with its bundles, when the cluster has all of them.

        Raises:
            RuntimeLostError: it does not have them in `placement_timeout_s`; what was asked, and
                what is there. None is kept.
        """
        total = _sum(bundle for bundles in wanted.values() for bundle in bundles)
        there = ray.cluster_resources()
        short = [name for name, count in total.items() if there.get(name, 0) < count - 1e-6]
        if short and self.own:  # it will not grow
            raise RuntimeLostError(self._lack(wanted, "runtime.cpus says how many CPUs it may use"))
        groups = {
            name: placement_group(bundles, strategy=strategies[name])
            for name, bundles in wanted.items()
        }
        refs = {group.ready(): name for name, group in groups.items()}
        ready, _ = ray.wait(
            list(refs), num_returns=len(refs), timeout=self.config.placement_timeout_s
        )
        if len(ready) < len(refs):
            for group in groups.values():
                ray.util.remove_placement_group(group)
            raise RuntimeLostError(
                self._lack(
                    wanted,
                    f"it did not within runtime.placement_timeout_s = "
                    f"{self.config.placement_timeout_s:g}",
                )
            )
        return groups

    def _lack(self, wanted: dict[str, list[Bundle]], more: str) -> str:
        there, free = ray.cluster_resources(), ray.available_resources()
        total = _sum(bundle for bundles in wanted.values() for bundle in bundles)
        asked = "\n  ".join(f"{name}: {_count(_sum(b))}" for name, b in wanted.items())
        has = ", ".join(f"{there.get(n, 0):g} {n} ({free.get(n, 0):g} free)" for n in total)
        return (
            f"the Ray cluster does not have the {_count(total)} that this run asks for; it has "
            f"{has}; {more}. Asked:\n  {asked}\nLower runtime.replicas, runtime.verifiers, or the "
            "CPUs and GPUs of an actor ([runtime] in docs/ray.md), or use a larger cluster"
        )

    def actor(self, kind: type, group: Any, bundle: int, resources: Bundle) -> Any:
        """An actor in a bundle of a placement group. Ray does not restart it: see
        `mars2.runtime.supervision`."""
        return (
            ray.remote(concurrency_groups={_ALIVE: 1})(kind)
            .options(
                num_cpus=resources.get("CPU", 0),
                num_gpus=resources.get("GPU", 0),
                max_restarts=0,
                scheduling_strategy=PlacementGroupSchedulingStrategy(
                    placement_group=group, placement_group_bundle_index=bundle
                ),
            )
            .remote()
        )


@contextmanager
def cluster(config: RunConfig, say: Callable[[str], None]) -> Iterator[Cluster]:
    """The cluster at `runtime.address`, or one of our own with enough CPUs, until the block ends.

    Raises:
        RuntimeLostError: there is none at the address.
    """
    settings = config.runtime
    try:
        if settings.address is None:
            cpus = settings.cpus or max(asked_cpus(config), os.cpu_count() or 1)
            _init(address="local", num_cpus=cpus, include_dashboard=False)
            say(f"ray {ray.__version__}: a cluster of our own, {cpus} CPUs")
        else:
            _reach(settings.address)
            nodes = sum(node["Alive"] for node in ray.nodes())
            say(f"ray {ray.__version__}: cluster {settings.address}, {nodes} nodes")
        yield Cluster(settings, settings.address is None)
    finally:
        ray.shutdown()


def _init(**where: Any) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, configure_logging=True, **where)
    finally:
        if handler is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray put its own there, which just exits


def _reach(address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        if port.isdigit():  # Ray itself would try for minutes
            socket.create_connection((host.strip("[]"), int(port)), _REACH_S).close()
        _init(address=address)
    except Exception as error:  # of many kinds, by how the address is written
        said = next((line for line in str(error).splitlines() if line.strip()), repr(error))
        raise RuntimeLostError(
            f"no Ray cluster can be used at {address}: {said}\nStart one with `ray start --head`, "
            "give --ray-address HOST:PORT, or leave it out for a cluster of the run's own"
        ) from None


def asked_cpus(config: RunConfig) -> int:
    """CPUs that all actors of a run reserve. An own cluster has at least these: Ray's CPUs are what
    it counts, not what it binds, and inference and learning mostly take turns."""
    settings = config.runtime
    policies = len({agent.policy or agent.spec for agent in config.agents})
    a_policy = settings.replicas * settings.inference_cpus + settings.learner_cpus
    return max(1, math.ceil(policies * a_policy + settings.verifiers * settings.verifier_cpus))


def _sum(bundles: Any) -> Bundle:
    total: Bundle = {}
    for bundle in bundles:
        for name, count in bundle.items():
            total[name] = total.get(name, 0) + count
    return total


def _count(resources: Bundle) -> str:
    return " and ".join(f"{count:g} {name}" for name, count in resources.items()) or "nothing"
