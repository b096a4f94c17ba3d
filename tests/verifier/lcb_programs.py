"""Random submissions, put together from idioms and mistakes that real ones have.

A stdin problem is "n, then n integers on a line"; a task says what to print. A function problem
takes a list of integers and an integer. Which programs pass does not matter here: what matters
is that every construct the official checker treats in its own way comes up often. They run
without walls in the official checker, so none writes outside its working directory.
"""

from __future__ import annotations

import json
from random import Random

from lcb_oracle import sample
from lcb_snippets import EXTRAS, FUNCTIONS, HEADS, IMPORTS, PRINTS, READS, RESULTS, SLOW

_TASKS = (
    (lambda a: str(sum(a)), "sum(a)"),
    (lambda a: f"{max(a)} {min(a)}", "f'{max(a)} {min(a)}'"),
    (lambda a: " ".join(map(str, sorted(a))), "' '.join(map(str, sorted(a)))"),
    (lambda a: "\n".join(map(str, a)), "'\\n'.join(map(str, a))"),
    (lambda a: f"{sum(a) / len(a):.6f}", "'%.6f' % (sum(a) / len(a))"),
)


def program(rng: Random) -> tuple[str, dict[str, str]]:
    """A stdin program and its problem in the official form."""
    task, formula = rng.choice(_TASKS)
    inputs, outputs = [], []
    for _ in range(rng.choice((1, 2, 3))):
        numbers = [rng.randint(-9, 99) for _ in range(rng.randint(1, 6))]
        end = rng.choice(("\n",) * 40 + ("", "\r\n", "\n\n") * 8 + ("\ud800\n",))
        inputs.append(f"{len(numbers)}\n{' '.join(map(str, numbers))}{end}")
        outputs.append(task(numbers) + rng.choice(("\n", "", " \n")))
    lines = [rng.choice(IMPORTS) for _ in range(rng.choice((0, 1, 1, 2)))]
    lines += [rng.choice(EXTRAS) for _ in range(rng.choice((0, 0, 0, 1, 1, 2)))]
    body = [rng.choice(READS[:8] if rng.random() < 0.5 else READS)]
    if rng.random() < 0.25:
        body.append(rng.choice(EXTRAS))
    if rng.random() < 0.004:
        body.append(rng.choice(SLOW))
    printing = rng.choice(PRINTS[:6] if rng.random() < 0.5 else PRINTS)
    body.append(printing.replace("{0}", formula))
    lines.append(_arranged(rng, "\n".join(body)))
    if rng.random() < 0.12:
        lines.append(rng.choice(EXTRAS))
    return _spoilt(rng, "\n".join(lines)), sample(inputs, outputs)


def _indented(text: str, by: str = "    ") -> str:
    return "\n".join(by + line for line in text.split("\n"))


def _arranged(rng: Random, body: str) -> str:
    main = f"def main():\n{_indented(body)}"
    guard = rng.choice(('if __name__ == "__main__":', "if __name__ == '__main__':"))
    match rng.randrange(14):
        case 0 | 1:
            return f"{main}\n\nmain()"
        case 2 | 3:
            return f"{main}\n\n{guard}\n    main()"
        case 4:
            return f"{guard}\n{_indented(body)}"
        case 5:
            return f"{main}\n{guard}\n    main()\nelse:\n    print('imported')"
        case 6:
            return f"{main}\n{guard}\n    import sys\n    main()\n    sys.exit()"
        case 7:
            return f"{main}\n{guard}\n    main()\nprint(end='')"
        case 8:
            return f"class App:\n    def run(self):\n{_indented(body, ' ' * 8)}\n\nApp().run()"
        case 9:
            return f"import sys\n{main}\nsys.exit(main())"
        case 10:
            inner = _indented(body, " " * 8)
            return f"def solve(t):\n    while t:\n        t -= 1\n{inner}\nsolve(1)"
        case _:
            return body


def _spoilt(rng: Random, code: str) -> str:
    draw = rng.random()
    if draw < 0.88:
        return code
    lines = code.split("\n")
    at = rng.randrange(len(lines))
    if draw < 0.91:
        del lines[at]
    elif draw < 0.93:
        lines.insert(at, lines[at])
    elif draw < 0.95:
        lines[at] = rng.choice(("", " ", "\t", "    ", "#", "\\", "\x0c")) + lines[at]
    elif draw < 0.97:
        return code.replace("\n", "\r\n")
    else:
        cut = rng.randrange(len(code) + 1)
        new = rng.choice(("", ")", "'", "\x00", "\ud800", "é", "0", ":"))
        return code[:cut] + new + code[cut + 1 :]
    return "\n".join(lines)


def function(rng: Random) -> tuple[str, dict[str, str]]:
    """A functional submission and its problem in the official form."""
    lists = rng.random() < 0.4
    inputs, outputs = [], []
    for _ in range(rng.choice((1, 2, 3))):
        nums = [rng.randint(-5, 9) for _ in range(rng.randint(0, 4))]
        k = rng.randint(0, 3)
        inputs.append(f"{json.dumps(nums)}\n{k}")
        outputs.append(json.dumps(sorted(nums) if lists else sum(nums) + k))
    body = f"return {rng.choice(RESULTS[:3] if rng.random() < 0.3 else RESULTS)}"
    if rng.random() < 0.05:
        endings = ("raise ValueError('x')", "raise KeyboardInterrupt", "pass", "yield 1")
        body = rng.choice((*endings, "import os; os._exit(0)"))
    heads = [rng.choice(HEADS) for _ in range(rng.choice((0, 1, 1, 2)))]
    code = "\n".join([*heads, rng.choice(FUNCTIONS).replace("{0}", body)])
    name = "solve" if rng.random() < 0.95 else rng.choice(("add", "missing", "Solution", "__doc__"))
    return _spoilt(rng, code), sample(inputs, outputs, name)


def submission(seed: int) -> tuple[str, dict[str, str]]:
    """The submission of a number: two programs to each function."""
    return (program if seed % 3 else function)(Random(seed))
