"""Tree search over programs: strategies, the runner, journals. Knows no LLM and no torch."""

from mars2.search.base import Strategy
from mars2.search.budget import Budget, Limits, Rate, Spent, make_budget
from mars2.search.forest import Forest, run_forest, run_tree
from mars2.search.journal import Journal, TreeJournal, read_journal
from mars2.search.limiter import Limiter
from mars2.search.runner import FailedExpansion, RunSettings, TreeJob, TreeResult
from mars2.search.seeds import derive
from mars2.search.strategies import make_strategy

__all__ = [
    "Budget",
    "FailedExpansion",
    "Forest",
    "Journal",
    "Limiter",
    "Limits",
    "Rate",
    "RunSettings",
    "Spent",
    "Strategy",
    "TreeJob",
    "TreeJournal",
    "TreeResult",
    "derive",
    "make_budget",
    "make_strategy",
    "read_journal",
    "run_forest",
    "run_tree",
]
