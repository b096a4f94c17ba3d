"""The form in which a builtin problem is written: statement, tests, a reference, wrong programs.

Only `build.py` reads it. The reference and the wrong programs stay in the source tree; the
package ships only what `build.py` renders from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Difficulty = Literal["easy", "medium", "hard"]
DIFFICULTIES: tuple[Difficulty, ...] = ("easy", "medium", "hard")


@dataclass(frozen=True)
class P:
    """One problem.

    A functional problem names its `entry_point`: `public` is [(args, expected), ...] with args
    a list of arguments, `private` is [args, ...]. A stdin problem leaves it None: `public` is
    [(stdin, stdout), ...], `private` is [stdin, ...]. Expected values of private tests are
    computed with `reference`; those of public tests are written by hand and checked against it.

    `id` is "builtin/" and a slug. `statement` is Markdown without examples (they are rendered
    from `public`). Every program in `wrong` must compile, end quickly and fail a private test.
    `starter` is what a solver starts from; for a functional problem it defaults to the
    reference's `def` line.
    """

    id: str
    difficulty: Difficulty
    title: str
    statement: str
    public: Sequence[tuple[Any, Any]]
    private: Sequence[Any]
    reference: str
    wrong: Sequence[str]
    entry_point: str | None = None
    starter: str = ""
