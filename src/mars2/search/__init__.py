"""Tree search over programs: strategies, the runner, journals. Knows no LLM and no torch."""

from mars2.search.base import Strategy
from mars2.search.forest import TreeJob, run_forest
from mars2.search.journal import Journal, TreeJournal, read_journal
from mars2.search.runner import FailedExpansion, TreeResult, run_tree
from mars2.search.seeds import derive
from mars2.search.strategies import make_strategy

__all__ = [
    "FailedExpansion",
    "Journal",
    "Strategy",
    "TreeJob",
    "TreeJournal",
    "TreeResult",
    "derive",
    "make_strategy",
    "read_journal",
    "run_forest",
    "run_tree",
]
