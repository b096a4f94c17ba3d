"""What holding private tests packed costs and saves: memory, and speed of a pass over all of them.

Writes a file in LiveCodeBench's published layout whose private tests unpack to --mb in all, reads
it as every command does (each problem's tests are unpacked once and checked, then only the packed
bytes stay), and takes every problem's tests once, as judging would. Each measurement runs in a
process of its own; the file is removed at the end.

    python benchmarks/packed_tests.py --mb 1024
"""

from __future__ import annotations

import argparse
import base64
import json
import pickle
import random
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

from memory import peak_mb, status_bytes

from mars2.packed import PackedTests

_MB = 1 << 20
_TEST_BYTES = 40_000  # of one test's input; a problem has as many as make --problem-mb


def write(path: Path, total_mb: int, problem_mb: int, seed: int = 0) -> int:
    """The file; returns how many problems it holds. Numbers, as most large inputs are.

    All problems have the same tests, which are packed once: nobody could tell.
    """
    rng = random.Random(seed)
    tests, size = [], 0
    while size < problem_mb * _MB:
        values = [rng.randrange(10**9) for _ in range(_TEST_BYTES // 10)]
        text = " ".join(map(str, values)) + "\n"
        tests.append({"input": text, "output": f"{sum(values)}\n", "testtype": "stdin"})
        size += len(text)
    row = {
        "question_title": "Sum",
        "question_content": "Print the sum of the numbers.",
        "platform": "atcoder",
        "contest_id": "abc",
        "contest_date": "2024-08-17T00:00:00",
        "starter_code": "",
        "difficulty": "easy",
        "public_test_cases": json.dumps([{"input": "1\n", "output": "1\n", "testtype": "stdin"}]),
        "private_test_cases": base64.b64encode(
            zlib.compress(pickle.dumps(json.dumps(tests)))
        ).decode(),
        "metadata": "{}",
    }
    problems = max(total_mb // problem_mb, 1)
    with path.open("w", encoding="utf-8") as out:
        for number in range(problems):
            out.write(json.dumps(row | {"question_id": f"sum{number}"}) + "\n")
    return problems


def measure(path: Path, how: str) -> dict[str, float]:
    """In this process. `how`: "import" (nothing is read), "stream" (a problem at a time), "load"
    (all held, packed), "unpacked" (all held, unpacked)."""
    from mars2.problems import load, stream

    if how == "import":
        return {"peak_mb": peak_mb()}
    source = f"livecodebench@{path}"
    started = time.process_time()
    problems = stream(source) if how == "stream" else load(source)
    found = {"load_cpu_s": time.process_time() - started, "packed_mb": 0.0, "unpacked_mb": 0.0}
    found["after_load_mb"] = status_bytes("VmRSS") / _MB
    kept = []
    for problem in problems:
        private = problem.private_tests
        assert isinstance(private, PackedTests)
        found["packed_mb"] += len(private.payload) / _MB
        found["unpacked_mb"] += private.size / _MB
        if how == "unpacked":
            kept.append(private.unpack())
        else:
            assert len(problem.unpacked().tests()) == problem.count()
    return found | {"all_cpu_s": time.process_time() - started, "peak_mb": peak_mb()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mb", type=int, default=1024, help="private tests unpacked, in all")
    parser.add_argument("--problem-mb", type=int, default=8, help="of one problem")
    parser.add_argument("--measure", nargs=2, metavar=("HOW", "FILE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        how, path = args.measure
        print(json.dumps(measure(Path(path), how)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test.jsonl"
        problems = write(path, args.mb, args.problem_mb)
        print(f"{problems} problems in a file of {path.stat().st_size / _MB:.0f} MB")

        def run(how: str) -> dict[str, float]:
            command = [sys.executable, __file__, "--measure", how, str(path)]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            return dict(json.loads(out))

        base = run("import")["peak_mb"]
        streamed, loaded, unpacked = run("stream"), run("load"), run("unpacked")
    size = loaded["unpacked_mb"]
    print(f"private tests: {loaded['packed_mb']:.0f} MB packed, {size:.0f} MB unpacked")
    print(f"memory before anything is read: {base:.0f} MB")
    for what, run_ in (
        ("a problem at a time, dropped after use", streamed),
        ("all problems held, packed", loaded),
        ("all problems held, unpacked", unpacked),
    ):
        seconds = run_["all_cpu_s"]
        print(f"{what}: peak {run_['peak_mb']:.0f} MB, {seconds:.1f} s of CPU", end=", ")
        print(f"{size / seconds:.0f} MB/s")
    print(f"of which reading, checking and packing: {size / loaded['load_cpu_s']:.0f} MB/s")


if __name__ == "__main__":
    main()
