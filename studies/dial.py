"""What the overlap dial does before any training: overlap of errors, and what a team gains.

    python studies/dial.py --out runs/dial [--problems 60] [--samples 16] [--nodes 60]

Makes the agents (`mars2 lab dial`; those of an earlier call are kept), lets each attempt problems
of lab:hard:heldout alone, then searches a tree a problem with each pair and with the first agent
alone, and prints Markdown tables for docs/lab.md. A call that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from mars2.cli.output import percent
from mars2.diversity.team import members, suggest
from mars2.evaluation.compare import Evaluated, load_evaluated
from mars2.evaluation.metrics import difference_ci, mean
from mars2.lab.dial import make_dial
from mars2.lab.finish import make_model_of, write_team

SHOWN = (1, 2, 4, 8, 16, 32, 60)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--overlaps", type=float, nargs="+", default=[0.0, 0.5, 1.0])
    parser.add_argument("--trees", type=float, nargs="*", help="overlaps to search with [all]")
    parser.add_argument("--problems", type=int, default=60)
    parser.add_argument("--samples", type=int, default=16, help="attempts of each agent alone")
    parser.add_argument("--nodes", type=int, default=60, help="of a tree")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    models = options.out / "models"

    teams: dict[float, dict[str, Path]] = {}
    for overlap in options.overlaps:
        agents = make_dial(2, overlap, seed=options.seed).agents
        first, second = (make_model_of(recipe, models, told)[0] for recipe in agents.values())
        teams[overlap] = {"a1": first, f"a2-{overlap:g}": second}
    everyone = {name: path for team in teams.values() for name, path in team.items()}
    alone = evaluate(options, "alone", everyone, options.samples, 1)
    trees = {"a1 alone": evaluate(options, "tree-a1", {"a1": everyone["a1"]}, 1, options.nodes)}
    for overlap in options.overlaps if options.trees is None else options.trees:
        run = evaluate(options, f"tree-{overlap:g}", teams[overlap], 1, options.nodes)
        trees[f"overlap {overlap:g}"] = run

    found = suggest(members([alone]), nodes=8, seed=options.seed)
    print(f"{options.problems} problems of lab:hard:heldout, {options.samples} attempts an agent\n")
    table_of_agents(found)
    table_of_teams(found, teams)
    table_of_trees(trees, options.nodes)


def told(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def evaluate(
    options: argparse.Namespace, name: str, team: dict[str, Path], samples: int, nodes: int
) -> Evaluated:
    """`mars2 eval` in a process of its own, unless its results are there."""
    run = options.out / name
    if not (run / "results.json").exists():
        config = options.out / f"{name}.toml"
        write_team(team, config)
        command = [sys.executable, "-m", "mars2.cli.main", "eval", "lab:hard:heldout"]
        command += ["--config", str(config), "--limit", str(options.problems)]
        command += ["--samples", str(samples), "--budget", str(nodes), "--out", str(run)]
        command += ["--set", "search.in_flight=4", "--set", "search.concurrency=512"]
        command += ["--set", f"seed={options.seed}"]
        command += ["--resume"] if run.exists() else []
        subprocess.run(command, check=True, stdout=sys.stderr)
    return load_evaluated([run])[0]


def table_of_agents(found: dict[str, Any]) -> None:
    row("agent", "pass@1", "Pass@8 alone")
    row("---", "---", "---")
    for agent in found["agents"]:
        row(agent["name"], *(percent(agent[m], agent["ci95"][m]) for m in ("pass@1", "pass@n")))
    print()


def table_of_teams(found: dict[str, Any], teams: dict[float, dict[str, Path]]) -> None:
    """Pairs with the first agent: errors of an attempt each, and 8 nodes by turns."""
    columns = ("joint_failure_excess", "fails_b_given_a", "failure_jaccard")
    row("overlap", *(c.replace("_", " ") for c in columns), "Pass@8", "gain over the better alone")
    row(*["---"] * 6)
    for overlap, team in teams.items():
        pair = next(t for t in found["teams"] if set(t["agents"]) == set(team))
        errors = next(o for o in found["error_overlap"] if {o["a"], o["b"]} == set(team))
        low, high = pair["ci95"]["gain"]
        row(
            f"{overlap:g}",
            *(
                f"{errors[c]:.3f} [{errors['ci95'][c][0]:.3f}, {errors['ci95'][c][1]:.3f}]"
                for c in columns
            ),
            percent(pair["pass@n"], pair["ci95"]["pass@n"]),
            f"{pair['gain']:+.3f} [{low:+.3f}, {high:+.3f}]",
        )
    print()


def table_of_trees(trees: dict[str, Evaluated], nodes: int) -> None:
    """Pass@n along the trees, and what a pair gains over the first agent alone."""
    shown = [n for n in SHOWN if n <= nodes]
    row("AB-MCTS", *(f"Pass@{n}" for n in shown), f"Pass@1(MCTS), {shown[-1]} nodes", "gain at 8")
    row(*["---"] * (len(shown) + 3))
    single = trees["a1 alone"].result.trees
    for name, run in trees.items():
        of = run.result.trees
        gains = [float(of[p].passed_at(8)) - float(single[p].passed_at(8)) for p in of]
        low, high = difference_ci(gains)
        row(
            name,
            *(percent(mean([float(t.passed_at(n)) for t in of.values()])) for n in shown),
            percent(mean([float(t.selected_passed_at(shown[-1])) for t in of.values()])),
            f"{mean(gains):+.3f} [{low:+.3f}, {high:+.3f}]" if of is not single else "",
        )


def row(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
