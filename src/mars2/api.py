"""`mars2.solve`: a problem, a team, a budget; the answer and the tree that it came from."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from mars2.agents.base import Agent
from mars2.agents.spec import parse_agent
from mars2.agents.team import Team, build_team
from mars2.config import AgentConfig, RunConfig, load_config
from mars2.config.presets import preset as preset_settings
from mars2.errors import UsageError
from mars2.inference.solve import OnResult, Solution
from mars2.inference.solve import solve as _solve
from mars2.problems import load
from mars2.search.journal import Journal
from mars2.search.runner import OnNode
from mars2.types import Problem
from mars2.verifier import AnyVerifier, make_verifier

TeamLike = Team | Mapping[str, Agent] | Sequence[str | AgentConfig] | str
BudgetLike = int | Mapping[str, float]

_LIMITS = ("tokens", "seconds", "cost")


async def solve(
    problem: Problem | str,
    team: TeamLike,
    *,
    budget: BudgetLike = 16,
    preset: str | None = None,
    config: RunConfig | Mapping[str, Any] | None = None,
    seed: int | None = None,
    verifier: AnyVerifier | None = None,
    journal: str | os.PathLike[str] | Journal | None = None,
    on_node: OnNode | None = None,
    on_result: OnResult | None = None,
) -> Solution:
    """Search for a program that passes the problem's tests.

    To end it after some time, give a budget of seconds. To end it from outside, cancel it
    (`task.cancel()`, `asyncio.timeout`); what it had found by then goes to `on_result`:

        found = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(60):
                await mars2.solve(problem, team, on_result=found.append)
        print(found[0].code)

    Args:
        problem: a `Problem`, or the id of a builtin one.
        team: specs of agents as on the command line ("coder=openai:MODEL@URL"), or one, their
            settings, or agents that are open already and stay so.
        budget: nodes, or any of {"nodes", "tokens", "seconds", "cost"}: the search ends with the
            first that is spent.
        preset: "mars2" or "mars2-t+", or another of `mars2/configs/presets`.
        config: settings, whole or as a mapping; the arguments above win over it. By default the
            search ends at the first program that passes all public tests.
        verifier: one that is open, and stays so; by default one is opened for this call.
        journal: file that records the search; an existing one is continued.
        on_node: called for each finished node.
        on_result: called with the answer that is returned; or, if this call is cancelled while
            it searches, with the best program so far, whose `interrupted` is true. Then
            CancelledError goes on as usual.

    Raises:
        UsageError, ConfigError, AgentSpecError: arguments that cannot be used.
        EndpointDownError: no request got through to any endpoint.
        ResumeError: the journal belongs to another search.
    """
    task = _problem(problem)
    settings = _settings(config, preset, budget, seed)
    async with contextlib.AsyncExitStack() as stack:
        agents, settings = await stack.enter_async_context(_team(team, settings))
        if verifier is None:
            verifier = await stack.enter_async_context(make_verifier(settings.verifier))
        if journal is not None and not isinstance(journal, Journal):
            header = {"problem": task.model_dump(mode="json"), **settings.model_dump(mode="json")}
            journal = stack.enter_context(Journal.open(journal, header))
        return await _solve(
            task, agents, verifier, settings, journal=journal, on_node=on_node, on_result=on_result
        )


def solve_sync(problem: Problem | str, team: TeamLike, **options: Any) -> Solution:
    """As `solve`, from code without an event loop (not from a notebook cell: await `solve`).

    Ctrl-C ends the search and returns the best program so far, with `interrupted` true. Only if
    no search had begun, or at a second Ctrl-C before it has ended, it raises.

    Raises:
        UsageError: an event loop is running in this thread.
        KeyboardInterrupt: as said above.
    """
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
        raise UsageError("an event loop is running: use `await mars2.solve(...)`")
    on_result = options.pop("on_result", None)
    found: list[Solution] = []

    def keep(solution: Solution) -> None:
        found.append(solution)
        if on_result is not None:
            on_result(solution)

    try:
        return asyncio.run(solve(problem, team, **options, on_result=keep))
    except KeyboardInterrupt:
        if not found:
            raise
        return found[0]


def _problem(problem: Problem | str) -> Problem:
    if isinstance(problem, Problem):
        return problem
    found = next((p for p in load("builtin") if p.id == problem), None)
    if found is None:
        raise UsageError(f"no builtin problem is called {problem!r}: see `mars2 problems`")
    return found


def _settings(
    config: RunConfig | Mapping[str, Any] | None,
    name: str | None,
    budget: BudgetLike,
    seed: int | None,
) -> RunConfig:
    base: dict[str, Any] = preset_settings(name) if name else {}
    given = config.model_dump() if isinstance(config, RunConfig) else dict(config or {})
    limits = {"nodes": budget} if isinstance(budget, int) else dict(budget)
    unknown = sorted(limits.keys() - {"nodes", *_LIMITS})
    if unknown:
        raise UsageError(f"budget: unknown {unknown[0]!r}; know nodes, {', '.join(_LIMITS)}")
    search: dict[str, Any] = {"stop_on_success": True}
    if "nodes" not in limits:
        # Something else bounds it; a number of nodes has to be given all the same.
        limits["nodes"] = 1 << 20
    forced: dict[str, Any] = {
        "search": {"nodes": limits["nodes"]},
        "budget": {f"problem_{key}": limits[key] for key in _LIMITS if key in limits},
    }
    if seed is not None:
        forced["seed"] = seed
    return load_config(base=_merged({"search": search}, base, given, forced))


def _merged(*parts: Mapping[str, Any]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            old = whole.get(key)
            if isinstance(value, Mapping) and isinstance(old, Mapping):
                value = _merged(old, value)
            whole[key] = value
    return whole


@asynccontextmanager
async def _team(
    team: TeamLike, settings: RunConfig
) -> AsyncIterator[tuple[Mapping[str, Agent], RunConfig]]:
    if isinstance(team, Team):
        yield team.agents, settings
        return
    if isinstance(team, Mapping):
        yield team, settings
        return
    specs = [team] if isinstance(team, str) else list(team)
    agents = [parse_agent(spec) if isinstance(spec, str) else spec for spec in specs]
    own = build_team(agents, vllm=settings.vllm)
    try:
        yield own.agents, settings.model_copy(update={"agents": agents})
    finally:
        await own.aclose()
