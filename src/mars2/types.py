"""The nouns of the system, shared by every part; no behaviour beyond validation.

Exchange formats (`Problem`, `Submission`, `Verdict`) are pydantic models: unknown fields are
refused by name. What only moves inside a process (`Generation`, `Node`) is a frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date as Date
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetPydanticSchema,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from mars2.packed import PackedTests, Recent


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")


# --------------------------------------------------------------------------- problems


class StdinTest(_Strict):
    """A whole program: `input` on standard input, `expected` on standard output."""

    kind: Literal["stdin"] = "stdin"
    input: str
    expected: str


class FunctionalTest(_Strict):
    """A call of the problem's entry point (a function or a `Solution` method)."""

    kind: Literal["functional"] = "functional"
    args: list[Any]
    expected: Any


class AssertionTest(_Strict):
    """A test program run after the submission (HumanEval, MBPP); passes if it ends normally."""

    kind: Literal["assertion"] = "assertion"
    program: str


TestCase = Annotated[StdinTest | FunctionalTest | AssertionTest, Field(discriminator="kind")]


def _tests_schema(_: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    """A list of tests, or packed ones as they are; as JSON always a list."""
    return core_schema.no_info_wrap_validator_function(
        lambda value, validate: value if isinstance(value, PackedTests) else validate(value),
        handler(list[TestCase]),
        serialization=core_schema.wrap_serializer_function_ser_schema(
            lambda value, dump: dump(list(value)), schema=handler(list[TestCase])
        ),
    )


Tests = Annotated[Sequence[TestCase], GetPydanticSchema(_tests_schema)]


class Problem(_Strict):
    """One programming problem. Private tests only judge: they never reach a prompt.

    `date` is the day of its release, "YYYY-MM-DD", where that is known. Private tests may be packed
    (`mars2.packed`); whoever judges takes `unpacked()`.
    """

    id: str = Field(min_length=1)
    statement: str
    starter_code: str = ""
    entry_point: str | None = None
    public_tests: list[TestCase] = []
    private_tests: Tests = []
    time_limit_s: float | None = Field(default=None, gt=0)
    memory_limit_mb: int | None = Field(default=None, gt=0)
    difficulty: str | None = None
    date: str | None = None
    metadata: dict[str, Any] = {}

    @field_validator("date")
    @classmethod
    def _iso(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                day = Date.fromisoformat(value).isoformat()
            except ValueError:
                day = ""
            if day != value:
                raise ValueError(f"is {value!r}; write a day that exists as YYYY-MM-DD")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Problem:
        if not self.count():
            raise ValueError("has no tests: give at least one in public_tests or private_tests")
        if "functional" in self.kinds and not self.entry_point:
            raise ValueError("has functional tests but no entry_point")
        return self

    def tests(self, which: TestSet = "all") -> list[TestCase]:
        """Public tests, followed by the private ones unless `which` is "public"."""
        return [*self.public_tests, *(self.private_tests if which == "all" else [])]

    def count(self, which: TestSet = "all") -> int:
        """How many `tests(which)` holds."""
        return len(self.public_tests) + (len(self.private_tests) if which == "all" else 0)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of its tests, "stdin", "functional" or "assertion", as they first occur."""
        private = self.private_tests
        hidden = private.kinds if isinstance(private, PackedTests) else [t.kind for t in private]
        return tuple(dict.fromkeys([*(t.kind for t in self.public_tests), *hidden]))

    @property
    def kind(self) -> str:
        """What its first test is."""
        return self.kinds[0]

    def unpacked(self, which: TestSet = "all") -> Problem:
        """This problem with its tests as plain lists, as far as `which` needs them.

        The most recent ones are kept, up to 64 MB, so that many programs for one problem are
        judged at the cost of one unpacking. Do not hold on to what is returned.
        """
        private = self.private_tests
        if which == "public" or not isinstance(private, PackedTests):
            return self
        return _RECENT.get(private, lambda tests: self.model_copy(update={"private_tests": tests}))


TestSet = Literal["public", "all"]
_RECENT: Recent[Problem] = Recent(64 << 20)


class Submission(_Strict):
    """A program to judge: `code`, or a model's `completion` from which it is extracted."""

    id: str
    problem_id: str
    code: str | None = None
    completion: str | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Submission:
        if (self.code is None) == (self.completion is None):
            raise ValueError("needs exactly one of code and completion")
        return self


# --------------------------------------------------------------------------- verdicts


class Status(StrEnum):
    """Outcome of one test, or of a program: that of its first failing test."""

    PASSED = "passed"
    WRONG_ANSWER = "wrong_answer"
    RUNTIME_ERROR = "runtime_error"
    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"
    OUTPUT_LIMIT = "output_limit"
    COMPILE_ERROR = "compile_error"
    NO_CODE = "no_code"
    SANDBOX_VIOLATION = "sandbox_violation"
    INFRA = "infra"  # our machinery failed: retried, reported, masked from training; never 0


class TestVerdict(_Strict):
    """One test's outcome with its evidence; texts are already cut to a bounded length."""

    __test__ = False

    status: Status
    input: str | None = None
    expected: str | None = None
    actual: str | None = None
    exception: str | None = None
    traceback: str | None = None
    limit: str | None = None  # for example "cpu time 2 s", "memory 256 MB"
    seconds: float | None = None


class LcbResult(_Strict):
    """What LiveCodeBench's official checker would have returned (profile `lcb`)."""

    results: list[Any]
    error_code: int | None = None


class Verdict(_Strict):
    """The judgement of one program: tests in order, up to where judging stopped."""

    id: str = ""
    problem_id: str = ""
    status: Status
    passed: int
    total: int
    tests: list[TestVerdict] = []
    lcb: LcbResult | None = None
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """True if every test passed."""
        return self.status is Status.PASSED


# --------------------------------------------------------------------------- generation


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message; `role` is "system", "user" or "assistant"."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a policy draws tokens. Training needs top_p = 1: log-probs are of the full softmax."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Generation:
    """What a policy answered.

    `token_ids` include the end-of-text token when the model wrote one; `logprobs[t]` is
    log π(token_ids[t] | prompt_ids, token_ids[:t]) at the sampling temperature (natural log).
    All three are None for a backend that cannot give them. `finish_reason` is "stop" or
    "length" (cut at max_tokens).
    """

    text: str
    finish_reason: str = "stop"
    prompt_ids: tuple[int, ...] | None = None
    token_ids: tuple[int, ...] | None = None
    logprobs: tuple[float, ...] | None = None
    policy_version: int = 0
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0


# --------------------------------------------------------------------------- the tree

Action = Literal["generate", "refine"]


@dataclass(frozen=True, slots=True)
class Expansion:
    """What a search strategy asks for: one new node, written by `agent` under `parent_id`.

    `parent_id` is None at the root (action "generate"), `depth` is 1 there. Node ids count
    from 1 in the order in which they were asked for. `references` are other nodes whose
    programs the writer is shown (debate, mixture).
    """

    node_id: int
    parent_id: int | None
    depth: int
    agent: str
    action: Action
    references: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """One candidate program of a tree. `reward` is the raw reward in [0, 1]."""

    tree_id: str
    node_id: int
    parent_id: int | None
    depth: int
    agent: str
    action: Action
    prompt: tuple[Message, ...]
    generation: Generation
    code: str | None
    verdict: Verdict
    reward: float
