"""The forbidden functions are set to None wherever a program could tell."""

from __future__ import annotations

import pytest

from mars2.verifier._sandbox import official


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "import sys, os",
        "import os.path as p",
        "from os import path",
        "from\\\n shutil import move",
        "import \\\n tempfile",
        "import pathlib",
        "import math, glob",
        "def f():\n    import resource",
        "x = 1; import psutil",
        "import random\nrandom._os.getcwd()",
        "getattr(random, '_o' + 's')",
        "sys.modules",
        "quit()",
        "exec('import o' 's')",
        "from . import x",
        "import numpy as np",
    ],
)
def test_a_program_that_could_tell_is_guarded(source: str) -> None:
    assert not official._harmless(source)


@pytest.mark.parametrize(
    "source",
    [
        "print(input())",
        "import sys\nfrom collections import deque, Counter\nimport math as m, heapq",
        "from typing import (\n    List,\n    Dict,\n)\nimport collections.abc",
        "def g():\n    yield from g()\nraise ValueError from None",
        "queue = code = test = 1\nprint('position')",
    ],
)
def test_an_ordinary_program_is_spared_the_guard(source: str) -> None:
    assert official._harmless(source)
