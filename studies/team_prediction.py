"""Is what `mars2 team suggest` expects of a team what the team then does?

    mars2 eval lab:mix:heldout --agent micro:lark --agent micro:loom --strategy repeated \\
      --samples 16 --budget 16 --out runs/pair
    python studies/team_prediction.py runs/pair [RUN…] --team runs/pair

Prints a Markdown table for docs/team.md: from the independent attempts in RUNs, what a team that
samples repeatedly should solve with n nodes; what the trees of the team's run solved; and the
difference, with 95 % intervals over problems. Attempts and trees of one run are different samples.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from mars2.cli.output import percent
from mars2.diversity.team import expected_pass, expected_selected, members, turns
from mars2.evaluation.compare import load_evaluated
from mars2.evaluation.metrics import bootstrap_ci, difference_ci, mean


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--team", type=Path, required=True, help="evaluated with `repeated`")
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 4, 6, 8, 12, 16])
    options = parser.parse_args()
    (team,) = load_evaluated([options.team])
    if team.settings.get("search.strategy") != "repeated":
        parser.error(f"{options.team} was not searched with --strategy repeated")
    by_name = {m.name: m for m in members(load_evaluated(options.runs), shared=True)}
    chosen = [by_name[name] for name in team.result.attempts]
    trees = team.result.trees
    problems = [p for p in chosen[0].attempts if p in trees]
    print(f"{len(problems)} problems, agents {', '.join(m.name for m in chosen)}\n")
    print("| n | metric | expected | measured | measured less expected |")
    print("| - | ------ | -------- | -------- | ---------------------- |")
    for n in options.nodes:
        shares = turns(n, len(chosen))
        of = {p: [m.attempts[p] for m in chosen] for p in problems}
        rng = random.Random(n)
        for metric, expected, measured in (
            (
                "Pass@n",
                [expected_pass(of[p], shares) for p in problems],
                [float(trees[p].passed_at(n)) for p in problems],
            ),
            (
                "Pass@1(MCTS)",
                [expected_selected(of[p], shares, rng) for p in problems],
                [float(trees[p].selected_passed_at(n)) for p in problems],
            ),
        ):
            less = [m - e for m, e in zip(measured, expected, strict=True)]
            low, high = difference_ci(less)
            values = (percent(mean(v), bootstrap_ci(v)) for v in (expected, measured))
            cells = [str(n), metric, *values, f"{mean(less):+.3f} [{low:+.3f}, {high:+.3f}]"]
            print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
