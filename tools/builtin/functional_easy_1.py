"""One-line functions: numbers. Small models should sometimes get these right."""

from spec import P

PROBLEMS = [
    P(
        id="builtin/sum-of-two",
        difficulty="easy",
        title="Sum of two numbers",
        statement="Return the sum of the two integers `a` and `b`.",
        entry_point="add",
        public=[([1, 2], 3), ([0, 0], 0), ([-5, 3], -2)],
        private=[[10, 20], [-1, -1], [7, 0], [0, 7], [100, -100], [999999, 1], [-8, 3], [12, 30]],
        reference="def add(a: int, b: int) -> int:\n    return a + b\n",
        wrong=[
            "def add(a, b):\n    return a - b\n",
            "def add(a, b):\n    return a * b\n",
            "def add(a, b):\n    return abs(a) + abs(b)\n",
            "def add(a, b):\n    print(a + b)\n",
        ],
    ),
]
