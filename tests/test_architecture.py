"""The structure that docs/architecture.md promises: one-way imports, a core without torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "mars2"

# Part → the parts it may import at any level (its own part and the base are always allowed).
BASE = {"types", "config", "errors", "packed", "syntax", "telemetry"}
ALLOWED: dict[str, set[str]] = {
    "types": set(),
    "packed": set(),
    "errors": set(),
    "syntax": set(),
    "config": set(),
    "telemetry": set(),
    "problems": {"lab"},  # lab families are a problem source, imported when asked for
    "search": set(),
    "verifier": {"prompts", "problems"},
    "prompts": {"problems"},
    "agents": {"prompts", "lab", "search"},
    # a reward model is an interface below (see test_selection_knows_reward_models…) and a
    # trainer above
    "rewards": {"agents", "evaluation", "problems", "prompts", "search", "training", "verifier"},
    "inference": {"agents", "problems", "prompts", "rewards", "search", "verifier"},
    "evaluation": {"agents", "inference", "problems", "prompts", "rewards", "search", "verifier"},
    "exchange": {"evaluation", "inference", "problems", "search", "training", "verifier"},
    "diversity": {"agents", "evaluation", "prompts", "search"},
    "training": {"agents", "inference", "problems", "search", "verifier", "prompts"},
    "runtime": {"agents", "training", "verifier"},
    "report": {"evaluation", "training"},
    "viewer": {"search", "training"},
    "plan": {"agents", "lab", "training"},  # specs, micro models' config.json, training.pace
    "study": {"agents", "diversity", "evaluation", "lab", "problems", "report", "training"},
    "lab": {"agents", "problems", "prompts", "training", "verifier", "search"},
    "api": {"agents", "inference", "problems", "search", "verifier"},
    "__init__": {"api", "inference"},
    "cli": {
        "agents",
        "diversity",
        "evaluation",
        "exchange",
        "inference",
        "lab",
        "plan",
        "problems",
        "prompts",
        "report",
        "rewards",
        "runtime",
        "search",
        "study",
        "training",
        "verifier",
        "viewer",
    },
}
HEAVY = {
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "accelerate",
    "numpy",
    "ray",
    "vllm",
} | {
    "matplotlib",
    "wandb",
    "prometheus_client",
    "opentelemetry",
}
CORE = (
    "mars2",
    "mars2.api",
    "mars2.cli.main",
    "mars2.cli.solve",
    "mars2.cli.evaluate",
    "mars2.cli.verify",
    "mars2.cli.problems",
    "mars2.cli.lab",
    "mars2.cli.reward_model",
    "mars2.cli.diversity",
    "mars2.cli.doctor",
    "mars2.cli.export",
    "mars2.cli.import_samples",
    "mars2.cli.plan",
    "mars2.cli.report",
    "mars2.cli.team",
    "mars2.cli.study",
    "mars2.agents.openai",
    "mars2.agents.scripted",
    "mars2.diversity.measure",
    "mars2.evaluation.evaluate",
    "mars2.inference.solve",
    "mars2.inference.agreement",
    "mars2.lab.families",
    "mars2.problems",
    "mars2.prompts",
    "mars2.prompts.micro",
    "mars2.plan.figures",
    "mars2.plan.sweep",
    "mars2.report.figures",
    "mars2.rewards.base",
    "mars2.rewards.data",
    "mars2.rewards.metrics",
    "mars2.search.runner",
    "mars2.telemetry.session",
    "mars2.study.page",
    "mars2.study.power",
    "mars2.training.credit",
    "mars2.training.trackers",
    "mars2.verifier",
    "mars2.viewer.export",
    "mars2.viewer.static",
)


def part_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported_parts(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module]
            if node.module == "mars2":
                names = [f"mars2.{a.name}" for a in node.names]
        found |= {n.split(".")[1] for n in names if n.startswith("mars2.")}
    return found


MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    part = part_of(path)
    allowed = ALLOWED[part] | BASE | {part, "__version__"}
    assert imported_parts(path) <= allowed


def test_search_knows_no_model() -> None:
    for path in (PACKAGE / "search").rglob("*.py"):
        assert imported_parts(path) <= {"search", *BASE}


def test_selection_knows_reward_models_as_an_interface_only() -> None:
    for path in (PACKAGE / "inference").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mars2.rewards"):
                assert node.module == "mars2.rewards.base", path


def test_the_core_imports_no_torch() -> None:
    """In a fresh interpreter in which importing a heavy package is an error."""
    script = (
        "import sys\n"
        f"heavy = {HEAVY!r}\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in heavy:\n"
        "            raise ImportError('the core imported ' + name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import importlib\n"
        f"for name in {CORE!r}:\n"
        "    importlib.import_module(name)\n"
        "assert not heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_files_stay_readable() -> None:
    lengths = {p: len(p.read_text(encoding="utf-8").splitlines()) for p in MODULES}
    assert {str(p): n for p, n in lengths.items() if n > 450} == {}
