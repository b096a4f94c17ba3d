"""Study files: strict, checked before anything runs, and equal nodes where they say so."""

from __future__ import annotations

from pathlib import Path

import pytest
from study_kit import SMALL, study

from mars2.errors import ConfigError
from mars2.lab.dial import directory_name
from mars2.study import jobs
from mars2.study.grid import Cell, Grid, make_grid, toml
from mars2.study.jobs import jobs_of
from mars2.study.metrics import LEVELS, parse_metric
from mars2.study.spec import load_study

STUDIES = Path(__file__).parents[2] / "studies"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("in_all = 128", "in_al = 128", "unknown key 'nodes.in_al'"),
        ('about = "together"', 'about = "x"\nroles = 2', "unknown key 'arms.team.roles'"),
        ('spec = "micro:loom"', 'spec = "micro:loom"\nheat = 1', "unknown key 'agents.loom.heat'"),
        ('[["lark", "loom"]]', '[["lark", "lion"]]', "there is no 'lion'; there are lark, loom"),
        ('metric = "ceiling"', 'metric = "roof"', "'roof' is no metric: there are ceiling"),
        ('"rep.gain@4"', '"rep.gain@5"', "rep has 1 to 4 nodes"),
        ('"rep.gain@4"', '"xyz.gain@4"', "there is no 'xyz'"),
        ("seeds = [0, 1]", "seeds = [0, 0]", "a seed is given twice"),
        ('b = "tree"', 'b = "team"', "an arm is compared with itself"),
        ("sd_rest = 0.2\n", "", "give pilot, or all of sd_seed"),
        ("in_all = 128\nper_policy = 64\n", "", "give in_all, per_policy or both"),
        ("[arms.team]", '[arms."a/b"]\nabout="x"\nteams=[["lark"]]\n[arms.team]', "'a/b' names"),
        ("nodes = 4\n", 'nodes = 4\naccountings = ["per_policy"]\n', "is not measured of both"),
        ("nodes = 4\n", 'nodes = 4\narms = ["team"]\n', "is not measured of both"),
        ("nodes = 4\n", 'nodes = 4\npreset = "mars9"\n', "there is no 'mars9'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        study(tmp_path, **{old: new})
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("trees_per_step = 4", "trees_per_step = 4\nrefill_rounds = 1", "equal nodes need"),
        ("trees_per_step = 4", "trees_per_stop = 4", "unknown key 'train.trees_per_stop'"),
        ("[agents.lark]", '[settings.learner]\nschedule = "linear"\n[agents.lark]', "be constant"),
        ("between = 32", "between = 40", "nodes.between = 40 is no whole number of steps of 32"),
        ("in_all = 128", "in_all = 145", "nodes.in_all = 145 gives each run of lark 145"),
    ],
)
def test_settings_that_spoil_the_accounting_are_refused(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    declared = study(tmp_path, **{old: new})
    with pytest.raises(ConfigError) as error:
        make_grid(declared, tmp_path)
    assert said in str(error.value)


def grid_of(tmp_path: Path, text: str = SMALL) -> Grid:
    return make_grid(study(tmp_path, text), tmp_path / "runs")


def cell(grid: Grid, arm: str, seed: int = 0) -> Cell:
    return next(c for c in grid.cells if (c.arm, c.seed) == (arm, seed))


def test_nodes_are_equal_as_the_accounting_says(tmp_path: Path) -> None:
    grid = grid_of(tmp_path)

    def nodes(arm: str, accounting: str) -> list[int]:
        systems = cell(grid, arm).systems
        return [s.ends[accounting] * sum(r.step_nodes for r in s.runs) for s in systems]

    assert nodes("tree", "in_all") == [128, 128]
    assert nodes("tree", "per_policy") == [64, 64]
    assert nodes("team", "in_all") == [128]
    assert nodes("team", "per_policy") == [128]  # 64 for each of two policies
    assert nodes("joined", "in_all") == [128]  # its two runs share them
    assert nodes("joined", "per_policy") == [128]
    assert cell(grid, "base").systems[0].ends == {}


def test_a_policy_trained_alone_is_trained_once_for_all_arms(tmp_path: Path) -> None:
    grid = grid_of(tmp_path)
    tree, joined = cell(grid, "tree"), cell(grid, "joined")
    assert [r.name for r in joined.runs()] == ["tree/0/train-lark", "tree/0/train-loom"]
    assert all(a is b for a, b in zip(tree.runs(), joined.runs(), strict=True))
    assert [sorted(r.stages) for r in tree.runs()] == [[2, 4], [2, 4]]
    assert cell(grid, "tree", 1).runs()[0] is not tree.runs()[0]


def test_trees_are_searched_once_where_two_accountings_end_together(tmp_path: Path) -> None:
    grid = grid_of(tmp_path)
    team = [s for s in cell(grid, "team").searches if s.evaluation == "rep"]
    assert [s.accountings for s in team] == [("in_all", "per_policy")]
    tree = [s for s in cell(grid, "tree").searches if s.evaluation == "rep"]
    assert [s.accountings for s in tree] == [("in_all",), ("per_policy",)] * 2
    spec = team[0].config.agents[1].spec
    assert spec == f"micro:{tmp_path}/runs/cells/team/0/train-lark+loom/stages/00004/weights/loom"
    assert [s.evaluation for s in cell(grid, "base").searches] == [None, "rep", None, "rep"]


@pytest.mark.parametrize(
    ("said", "per_policy"),
    [
        ("", ["rep"]),  # of all arms, at both ends
        ('accountings = ["in_all"]\n', []),
        ('arms = ["base"]\n', []),  # untrained: nothing new at the second end
        ('arms = ["base"]\naccountings = ["per_policy"]\n', []),
    ],
)
def test_untrained_arms_alone_are_shown_once(
    said: str, per_policy: list[str], tmp_path: Path
) -> None:
    text = SMALL[: SMALL.index("[[comparisons]]")] + SMALL[SMALL.index("[power]") :]
    study = grid_of(tmp_path, text.replace("nodes = 4\n", f"nodes = 4\n{said}")).study
    assert (study.searched("in_all"), study.searched("per_policy")) == (["rep"], per_policy)


def test_settings_survive_their_file(tmp_path: Path) -> None:
    from mars2.config import load_config

    grid = grid_of(tmp_path)
    for config in (cell(grid, "joined").runs()[0].config, cell(grid, "team").searches[0].config):
        path = tmp_path / "config.toml"
        path.write_text(toml(config.model_dump()), encoding="utf-8")
        assert load_config(path) == config


def test_a_model_that_is_not_there_is_told_with_its_arm(tmp_path: Path) -> None:
    text = SMALL.replace('spec = "micro:loom"', 'spec = "micro:lynx"')
    text += '\n[builds]\nloom = "build it so"\n'
    found = make_grid(study(tmp_path, text), tmp_path).missing
    assert set(found) == {"base", "tree", "team", "joined"}
    assert "micro:lynx: unknown model" in found["team"]
    assert "build it so" in found["team"]


DIALED = SMALL.replace(
    '[agents.lark]\nspec = "micro:lark"\n[agents.loom]\nspec = "micro:loom"\n',
    """[models.one]
member = "a1"
overlap = 0.5
[models.other]
member = "double"
overlap = 0.5
[agents.lark]
model = "one"
[agents.loom]
model = "other"
""",
)


def test_models_are_made_once_and_before_those_who_need_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = grid_of(tmp_path, DIALED)
    assert grid.missing == {}
    team, tree = cell(grid, "team"), cell(grid, "tree", 1)
    names = [job.name for job in jobs_of(grid, team)]
    bases, models = names[:2], names[2:4]
    assert all(name.startswith("models/base-loom") for name in bases)
    assert names[4].startswith("team/0/train")
    assert [job.name for job in jobs_of(grid, tree)][:4] == names[:4]
    specs = [a.spec for a in team.runs()[0].config.agents]
    assert specs == [f"micro:{grid.out / name}" for name in models]
    assert "double" in specs[1]
    made: list[str] = []
    monkeypatch.setattr(jobs, "make", lambda out, recipe: made.append(directory_name(recipe)))
    for job in jobs_of(grid, team)[:4]:
        assert job.do(grid.out, lambda words: 1) == 0
    assert [f"models/{name}" for name in made] == names[:4]
    assert all(job.finished(grid.out) for job in jobs_of(grid, tree)[:4])


def test_an_agent_is_of_a_spec_or_of_a_model(tmp_path: Path) -> None:
    for old, new, said in (
        ('model = "one"', 'model = "one"\nspec = "micro:lark"', "give either spec, or model"),
        ('model = "one"', 'model = "none"', "there is no 'none'; there are one, other"),
        ('member = "a1"', 'member = "a9"', "models.one.member"),
    ):
        with pytest.raises(ConfigError) as error:
            study(tmp_path, DIALED, **{old: new})
        assert said in str(error.value)


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.toml")), ids=lambda p: p.stem)
def test_shipped_studies_make_a_grid(path: Path, tmp_path: Path) -> None:
    declared = load_study(path)
    grid = make_grid(declared, tmp_path)
    assert len(grid.cells) == len(declared.arms) * len(declared.seeds)
    for one in grid.cells:
        for system in one.systems:
            for accounting, step in system.ends.items():
                policies = len(declared.policies(system.agents))
                wanted = getattr(declared.nodes, accounting)
                wanted *= policies if accounting == "per_policy" else 1
                nodes = step * sum(run.step_nodes for run in system.runs)
                assert nodes == pytest.approx(wanted, rel=0.05)


def test_metrics_have_names() -> None:
    for text in ("ceiling", "pass@1", "joint_failure", "ab-mcts.any@60", "x.gain@1"):
        assert parse_metric(text).text == text
    for level in LEVELS:
        assert parse_metric(f"diversity.{level}").level == level
    for text in ("diversity", "diversity.moral", "mcts@3", "x.mcts", "x.mcts@-1", ""):
        with pytest.raises(ValueError, match="is no metric"):
            parse_metric(text)
