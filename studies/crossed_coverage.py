"""How often a study's 95 % intervals hold the truth, and its tests find what is not there.

    python studies/crossed_coverage.py [--trials 600]

Prints the Markdown table of docs/studies.md: tables of normal effects of seeds and problems and a
rest, with the standard deviations given, around 0. "As it is": rows and columns redrawn without
reflation (the pigeonhole bootstrap), quantiles as they come.
"""

from __future__ import annotations

import argparse

import numpy as np
from training_report import crossed_interval, markdown

from mars2.study.crossed import estimate

CASES = (
    (2, 100, (0.03, 0.1, 0.3)),
    (3, 100, (0.03, 0.1, 0.3)),
    (5, 40, (0.05, 0.05, 0.3)),
    (5, 100, (0.0, 0.1, 0.3)),
    (5, 100, (0.03, 0.1, 0.3)),
    (5, 100, (0.1, 0.05, 0.2)),
    (8, 100, (0.03, 0.2, 0.3)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=600)
    trials = parser.parse_args().trials
    rows = []
    for seeds, problems, (a, b, e) in CASES:
        rng = np.random.default_rng(1)
        held = plain = found = 0
        for _ in range(trials):
            table = a * rng.standard_normal((seeds, 1)) + b * rng.standard_normal((1, problems))
            table = table + e * rng.standard_normal((seeds, problems))
            got = estimate({s: dict(enumerate(row)) for s, row in enumerate(table)}, resamples=1000)
            held += got["ci95"][0] <= 0 <= got["ci95"][1]
            found += got["p"] < 0.05
            low, high = crossed_interval(table, resamples=400)
            plain += low <= 0 <= high
        shares = [f"{100 * x / trials:.1f}" for x in (held, found, plain)]
        rows.append([str(seeds), str(problems), f"{a:g}, {b:g}, {e:g}", *shares])
    head = ["seeds", "problems", "sd of seeds, problems, rest", "hold the truth, %"]
    print(markdown([*head, "found at 0.05, %", "as it is: hold, %"], rows))


if __name__ == "__main__":
    main()
