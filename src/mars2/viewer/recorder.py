"""A run as a list of records that only grows: what a page shows, whole at once or as it comes.

    ["run", {"name", "kind", "agents", "search", "notes", …}]    first
    ["lines", [text, …]]                         numbered from 0 through all such records
    ["tree", number, {"id", "group", "problem", "agents", "strategy", "beliefs", "prior", …}]
    ["ask", tree, seconds, node, parent or 0, agent, depth, references]
    ["tell", tree, seconds, node, reward, details]
    ["fail", tree, seconds, node, kind, error, details or null]
    ["cancel", tree, seconds, node]
    ["team", tree, seconds, "join" or "leave", agent]
    ["arms", tree, time, {key: numbers}]         see `beliefs`; time counts the tree's events
    ["result", tree, {"passed", "selected", "selected_at"}]
    ["status", text]

The five in the middle are a tree's events. A text is a list of line numbers, see `texts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from mars2.viewer.beliefs import Beliefs
from mars2.viewer.run import Place, Run
from mars2.viewer.texts import Limits, Pool

Record = list[Any]
_EVIDENCE = 5  # failing tests that are shown with what they got


class Recorder:
    """Turns a run's events into records.

    Attributes:
        without_texts: nodes whose texts were left out to keep the page small.
    """

    def __init__(self, run: Run, limits: Limits | None = None) -> None:
        self.run = run
        self.without_texts = 0
        self._limits = limits or Limits()
        self._pool = Pool()
        self._trees: dict[str, int] = {}
        self._beliefs: list[Beliefs] = []
        self._times: list[int] = []
        self._why: list[str | None] = []
        self._results: dict[int, dict[str, Any]] = {}
        self._status: str | None = None
        self._changed: Any = None
        self._info = run.problem_info()

    @property
    def trees(self) -> int:
        """How many have begun."""
        return len(self._trees)

    def opening(self) -> list[Record]:
        """The first record."""
        run, config = self.run, self.run.config
        about: dict[str, Any] = {"name": run.name, "kind": run.kind, "notes": list(run.notes)}
        if config is not None:
            about["agents"] = [a.name for a in config.agents]
            about["seed"] = config.seed
            about["search"] = config.search.model_dump(mode="json")
        return [["run", about]]

    def event(self, event: dict[str, Any]) -> list[Record]:
        """The records of one event of the journal."""
        records: list[Record] = []
        number = self._trees.get(event["tree"])
        if number is None:
            number = self._begin(event["tree"], records)
        beliefs = self._beliefs[number]
        self._arms(records, number, beliefs.before(event))
        made = self._made(number, event)
        if lines := self._pool.take():
            records.append(["lines", lines])
        records.append(made)
        self._times[number] += 1
        self._arms(records, number, beliefs.after(event))
        if beliefs.why_not != self._why[number]:
            self._why[number] = beliefs.why_not
            records.append(["tree", number, {"beliefs": beliefs.why_not}])
        return records

    def ending(self) -> list[Record]:
        """What results and manifest say now, as far as that is new."""
        records: list[Record] = []
        changed = self.run.changed()
        if changed == self._changed:
            return records
        self._changed = changed
        status = self.run.manifest().get("status")
        if isinstance(status, str) and status != self._status:
            self._status = status
            records.append(["status", status])
        outcomes = self.run.outcomes()
        if not outcomes:
            return records
        for tree_id, number in self._trees.items():
            place = self.run.place(tree_id)
            outcome = outcomes.get(place.problem)
            if outcome is None or place.agent is not None:
                continue
            result = result_of(outcome)
            if self._results.get(number) != result:
                self._results[number] = result
                records.append(["result", number, result])
        return records

    def _begin(self, tree_id: str, records: list[Record]) -> int:
        number = self._trees[tree_id] = len(self._trees)
        place, config = self.run.place(tree_id), self.run.config
        search = config.search if config else None
        agents = [a.name for a in config.agents] if config else []
        if place.agent is not None and search is not None:  # independent attempts
            search = search.model_copy(update={"strategy": "repeated"})
            agents = [place.agent]
        beliefs = Beliefs(search, agents, self.run.ordered)
        self._beliefs.append(beliefs)
        self._times.append(0)
        self._why.append(beliefs.why_not)
        records.append(["tree", number, self._about(tree_id, place, beliefs, search)])
        return number

    def _about(self, tree_id: str, place: Place, beliefs: Beliefs, search: Any) -> dict[str, Any]:
        info = self._info.get(place.problem) or {}
        return {
            "id": tree_id,
            "group": place.group,
            "problem": place.problem,
            "strategy": search.strategy if search else None,
            "beliefs": beliefs.why_not,  # null: there are some
            "prior": beliefs.prior,
            **{k: info[k] for k in ("title", "difficulty", "date") if info.get(k)},
        }

    def _arms(self, records: list[Record], number: int, changes: Mapping[str, Any]) -> None:
        if changes:
            records.append(["arms", number, self._times[number], changes])

    def _made(self, number: int, event: dict[str, Any]) -> Record:
        kind, start = event["event"], [number, round(event["seconds"], 3)]
        if kind == "ask":
            parent, references = event["parent_id"] or 0, event.get("references") or []
            where = [event["node_id"], parent, event["agent"], event["depth"], references]
            return ["ask", *start, *where]
        if kind == "tell":
            told = self._details(event["node"])
            return ["tell", *start, event["node_id"], event["reward"], told]
        if kind == "fail":
            node = event["node"]
            error = self._pool.put(str(event["error"]), self._limits.value)
            details = self._details(node) if node else None
            return ["fail", *start, event["node_id"], event["kind"], error, details]
        if kind == "cancel":
            return ["cancel", *start, event["node_id"]]
        return ["team", *start, kind, event["agent"]]

    def _details(self, node: dict[str, Any]) -> dict[str, Any]:
        verdict = node["verdict"]
        details: dict[str, Any] = {
            "status": verdict["status"],
            "passed": verdict["passed"],
            "total": verdict["total"],
            "seconds": verdict.get("seconds", 0.0),
            "generation": generation_of(node["generation"]),
        }
        limits, pool = self._limits, self._pool
        if limits.total is not None and pool.size > limits.total:
            self.without_texts += 1
            return details
        tests = verdict.get("tests", [])
        details |= {
            "prompt": [[role, pool.put(text, limits.text)] for role, text in node["prompt"]],
            "text": pool.put(node["generation"]["text"], limits.text),
            "code": pool.put(node["code"], limits.code),
            "tests": runs_of([t["status"] for t in tests]),
            "failing": self._failing(tests),
        }
        return details

    def _failing(self, tests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        failing = [(i, t) for i, t in enumerate(tests) if t["status"] != "passed"]
        texts = ("input", "expected", "actual", "exception", "traceback", "limit")
        return [
            {
                "test": i + 1,
                "status": t["status"],
                "seconds": t.get("seconds"),
                **{k: self._pool.put(t[k], self._limits.value) for k in texts if t.get(k)},
                # An output of nothing is evidence too.
                **{k: [] for k in ("actual", "expected", "input") if t.get(k) == ""},
            }
            for i, t in failing[:_EVIDENCE]
        ]


def generation_of(generation: Mapping[str, Any]) -> dict[str, Any]:
    """Counts, times and log-probabilities of an answer; texts and token ids left out."""
    prompt_tokens, completion_tokens = generation["usage"]
    logprobs = generation["logprobs"]
    found = {
        "finish_reason": generation["finish_reason"],
        "policy_version": generation["policy_version"],
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "seconds": round(generation["seconds"], 3),
    }
    if logprobs:
        total = sum(logprobs)
        found["logprob"] = {
            "tokens": len(logprobs),
            "sum": round(total, 4),
            "mean": round(total / len(logprobs), 4),
            "min": round(min(logprobs), 4),
        }
    return found


def runs_of(statuses: list[str]) -> list[list[Any]]:
    """[[status, how many in a row], …]: a verdict may list thousands of tests."""
    return [[status, sum(1 for _ in same)] for status, same in groupby(statuses)]


def result_of(outcome: Mapping[str, Any]) -> dict[str, Any]:
    """Of one tree in results.json: nodes that pass all tests, and the selected one.

    Older results say only whether there are any: `any_passed`, `selected_passed`.
    """
    at = [pair for pair in outcome.get("selected_at") or [] if len(pair) == 2]
    found: dict[str, Any] = {
        "passed": outcome.get("passed"),
        "selected": at[-1][1] if at else None,
        "selected_at": at,
    }
    for ours, theirs in (("any_passed", "any_passed"), ("selected_passed", "selected")):
        if isinstance(outcome.get(theirs), bool):
            found[ours] = outcome[theirs]
    return found
