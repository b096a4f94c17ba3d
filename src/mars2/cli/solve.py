"""`mars2 solve`: one problem, a team, a budget; prints the winning program."""

from __future__ import annotations

import os
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import openai

from mars2 import __version__
from mars2.agents.spec import parse_agent
from mars2.agents.team import build_team
from mars2.cli.options import (
    chosen,
    config_options,
    json_option,
    preset_option,
    run_async,
    telemetry_options,
)
from mars2.cli.output import Output
from mars2.cli.problems import find_problem
from mars2.config import AgentConfig, RunConfig
from mars2.errors import UsageError
from mars2.inference.solve import OnResult, Solution, solve
from mars2.problems.markdown import problem_from_statement
from mars2.search.journal import Journal
from mars2.telemetry import emit
from mars2.telemetry.session import watched
from mars2.training.rundir import RunDir, problems_digest, write_json
from mars2.types import Problem
from mars2.verifier import make_verifier

NO_AGENT = """no agent was given, and the environment names no endpoint. Do one of these:
  --agent coder=openai:MODEL@http://localhost:8000/v1   a vLLM, SGLang, llama.cpp server
  --agent coder=openai:MODEL@http://localhost:11434/v1  Ollama
  --agent coder=hf:DIRECTORY_OR_HUB_ID                  in this process (pip install 'mars2[hf]')
  export OPENAI_BASE_URL=… OPENAI_API_KEY=… OPENAI_MODEL=…   then no --agent is needed"""


@click.command(name="solve")
@click.argument("problem")
@config_options
@telemetry_options
@preset_option
@click.option("--budget", type=click.IntRange(min=1), help="Nodes of the tree [8].")
@click.option("--max-total-tokens", type=click.IntRange(min=1), help="Tokens that it may use.")
@click.option("--max-seconds", type=click.FloatRange(min=0, min_open=True), help="Time for it.")
@click.option("--source", help="Where PROBLEM's id is looked up [builtin].")
@click.option(
    "--tests",
    "tests_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Tests of a statement read from a file or stdin: JSON or JSON lines.",
)
@click.option("--entry-point", help="Function that functional tests call.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep settings, journal and result here, for `mars2 view`.",
)
@json_option
def command(
    problem: str,
    budget: int | None,
    max_total_tokens: int | None,
    max_seconds: float | None,
    source: str | None,
    tests_path: Path | None,
    entry_point: str | None,
    out: Path | None,
    as_json: bool,
    **shared: Any,
) -> int:
    """Solve PROBLEM: an id, a Markdown file with the statement, or - for stdin.

    Exits 0 if the answer passes all tests, 1 if not. Ctrl-C ends the search and prints the best
    program so far.
    """
    output = Output(as_json)
    task = _read_problem(problem, source, tests_path, entry_point)
    config = chosen(shared).resolve(
        search__nodes=budget,
        budget__problem_tokens=max_total_tokens,
        budget__problem_seconds=max_seconds,
    )
    config = config.model_copy(
        update={"search": config.search.model_copy(update={"stop_on_success": True})}
    )
    if not config.agents:
        config = config.model_copy(update={"agents": [_agent_of_environment(output)]})
    name = out.resolve().name if out else f"solve-{os.getpid()}"
    with watched(config.telemetry, "solve", name, output.log):
        return _solve(task, config, out, output)


def _solve(task: Problem, config: RunConfig, out: Path | None, output: Output) -> int:
    run = _open_run(out, config, task) if out else None
    if run is not None:
        emit("run directory", path=str(run.path), resumed=False)
    started = time.monotonic()
    found: list[Solution] = []
    try:
        solution = run_async(_run(task, config, run, output, found.append))
    except BaseException as error:
        if run is not None:
            interrupted = isinstance(error, KeyboardInterrupt)
            run.update_manifest(status="interrupted" if interrupted else "failed")
        if found and isinstance(error, KeyboardInterrupt):
            _show_best(output, task, found[0])
        raise
    seconds = round(time.monotonic() - started, 1)
    report = _report(task, solution) | {"seconds": seconds}
    if run is not None:
        write_json(run.path / "results.json", report | {"outcomes": _outcomes(task, solution)})
        run.update_manifest(status="finished")
    if output.as_json:
        output.data(report)
    else:
        _show(output, task, solution, seconds)
    return 0 if solution.solved else 1


def _read_problem(
    name: str, source: str | None, tests_path: Path | None, entry_point: str | None
) -> Problem:
    is_file = name == "-" or name.endswith((".md", ".txt"))
    if not is_file:
        if tests_path is not None:
            raise UsageError("--tests goes with a statement from a file (.md, .txt) or stdin (-)")
        return find_problem(name, source)
    if tests_path is None:
        raise UsageError(f"{name}: a statement needs tests to search by: give --tests FILE")
    if name == "-":
        text = sys.stdin.read()
    else:
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"statement {name} cannot be read: {error}") from None
    identity = "stdin" if name == "-" else Path(name).stem
    return problem_from_statement(text, tests_path, id=identity, entry_point=entry_point)


def _agent_of_environment(output: Output) -> AgentConfig:
    """The endpoint that OPENAI_BASE_URL or OPENAI_API_KEY names, with OPENAI_MODEL or, if it
    serves just one model, that one.
    """
    if not (os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_KEY")):
        raise UsageError(NO_AGENT)
    model = os.environ.get("OPENAI_MODEL")
    if not model:
        names = _served_models()
        if len(names) != 1:
            listed = f"it serves {', '.join(names[:20])}" if names else "it lists no models"
            raise UsageError(
                f"the environment names an endpoint but no model, and {listed}: set OPENAI_MODEL, "
                "or give --agent coder=openai:MODEL"
            )
        model = names[0]
        output.log(f"using {model}, the one model the endpoint serves")
    return parse_agent(f"coder=openai:{model}")


def _served_models() -> list[str]:
    key = os.environ.get("OPENAI_API_KEY") or "EMPTY"  # local servers need none
    try:
        with openai.OpenAI(api_key=key, timeout=10, max_retries=0) as client:
            return [m.id for m in client.models.list().data]
    except (openai.OpenAIError, TypeError, ValueError, AttributeError):
        return []


def _open_run(out: Path, config: RunConfig, problem: Problem) -> RunDir:
    about = {"mars2": __version__, "kind": "solve", "problems": problems_digest([problem])}
    return RunDir.create(out, config, about)


async def _run(
    problem: Problem, config: RunConfig, run: RunDir | None, output: Output, on_result: OnResult
) -> Solution:
    team = build_team(config.agents, vllm=config.vllm)
    header = {"config_hash": config.digest()}
    try:
        with Journal.open(run.journal, header) if run else nullcontext() as journal:
            async with make_verifier(config.verifier) as verifier:
                with output.growing_tree(problem.id, config.search.nodes) as show:
                    return await solve(
                        problem,
                        team.agents,
                        verifier,
                        config,
                        journal=journal,
                        on_node=show,
                        on_result=on_result,
                    )
    finally:
        await team.aclose()


def _outcomes(problem: Problem, solution: Solution) -> dict[str, Any]:
    """The tree as `mars2 eval` writes one; only its answer was judged on all tests."""
    nodes, answer = solution.tree.nodes, solution.node
    tree = {
        "selected": solution.solved,
        "selected_at": [[len(nodes), answer.node_id]] if answer else [],
        "nodes": len(nodes),
        "failed": len(solution.tree.failed),
    }
    return {"trees": {problem.id: tree}}


def _show_best(output: Output, problem: Problem, solution: Solution) -> None:
    best, nodes = solution.node, solution.tree.nodes
    if best is None:
        output.log(f"{problem.id}: interrupted before any program was written")
        return
    output.show((best.code or "").rstrip() + "\n")
    output.log(
        f"{problem.id}: interrupted after {len(nodes)} nodes; the best so far is node "
        f"{best.node_id} by {best.agent}: {best.verdict.passed}/{best.verdict.total} public tests"
    )


def _report(problem: Problem, solution: Solution) -> dict[str, Any]:
    node, final = solution.node, solution.final
    return {
        "problem": problem.id,
        "solved": solution.solved,
        "code": node.code if node else None,
        "agent": node.agent if node else None,
        "node": node.node_id if node else None,
        "status": final.status if final else None,
        "passed": final.passed if final else 0,
        "total": problem.count(),
        "nodes": len(solution.tree.nodes),
        "spent": asdict(solution.tree.spent),
        "failed_requests": len(solution.tree.failed),
    }


def _show(output: Output, problem: Problem, solution: Solution, seconds: float) -> None:
    if solution.node is None:
        output.show(f"{problem.id}: no program was written in {len(solution.tree.nodes)} nodes")
        return
    output.show((solution.node.code or "").rstrip() + "\n")
    verdict = (
        "passes all tests"
        if solution.solved
        else f"fails: {solution.final and solution.final.status}"
    )
    output.log(
        f"{problem.id}: node {solution.node.node_id} by {solution.node.agent} {verdict} "
        f"({len(solution.tree.nodes)} nodes, {seconds} s)"
    )
