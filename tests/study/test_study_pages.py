"""Pages whose numbers a study's summary writes: what is between markers, and nothing else."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import pytest
from click.testing import CliRunner

from mars2.cli.main import cli
from mars2.errors import UsageError
from mars2.report.panels import Figure
from mars2.study.figures import colours
from mars2.study.inserts import changes, filled, slots, write_changes
from mars2.study.page import StudyReport, build_report
from mars2.study.quoted import quoted
from mars2.study.summary import read_summary

ROOT = Path(__file__).parents[2]
MINIATURE = ROOT / "studies" / "miniature.toml"
PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]

PAGE = """# Prose

<!-- mars2 study: miniature table=arms -->
old
<!-- end -->

A team gains <!-- =team-single.ceiling -->?<!-- end -->
(p <!-- =team-single.ceiling p -->?<!-- end -->).
It is `<!-- =no.marker -->` here, and here:

```
<!-- mars2 study: other table=none -->
```

<!-- mars2 study: miniature figure=search --><!-- end -->
Last line.
"""


@lru_cache
def of(study: str) -> StudyReport:
    return build_report(read_summary(ROOT / "studies/results" / study / "summary.json"))


@pytest.fixture(scope="module")
def miniature() -> StudyReport:
    return of("miniature")


def test_only_what_stands_between_markers_is_written(miniature: StudyReport) -> None:
    found = filled(PAGE, "miniature", miniature)
    assert "| team | both in each tree, each with its own weights |" in found.text
    assert "old" not in found.text
    assert (
        "A team gains <!-- =team-single.ceiling -->-0.036 [-0.291, 0.221]<!-- end -->" in found.text
    )
    assert "(p <!-- =team-single.ceiling p -->0.348<!-- end -->)" in found.text
    assert 'src="images/miniature-search.svg"' in found.text
    assert [f.name for f in found.figures] == ["miniature-search"]
    kept = PAGE[PAGE.index("It is `") : PAGE.index("<!-- mars2 study: miniature figure")]
    assert kept in found.text
    assert found.text.endswith("<!-- end -->\nLast line.\n")
    assert filled(found.text, "miniature", miniature).text == found.text


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("# No marker\n", "no marker of study 'miniature': put"),
        ("<!-- mars2 study: dial table=arms --><!-- end -->", "only of dial"),
        ("<!-- mars2 study: miniature table=legs --><!-- end -->", "there are comparisons, arms"),
        ("<!-- mars2 study: miniature figure=x --><!-- end -->", "there are learning, search"),
        ("<!-- mars2 study: miniature text=x --><!-- end -->", "there are verdicts, notes"),
        ("<!-- mars2 study: miniature arms --><!-- end -->", "give table=KEY, figure=NAME"),
        ("<!-- mars2 study: miniature chart=arms --><!-- end -->", "neither table, figure nor"),
        ("<!-- mars2 study: miniature table=arms rows=x --><!-- end -->", "are single, team"),
        ("\n<!-- mars2 study miniature table=arms --><!-- end -->", "line 2: 'mars2 study min"),
        ("<!-- mars2 study: miniature table=arms -->", "no `<!-- end -->` after 'table=arms'"),
        ("a <!-- end -->", "ends nothing"),
        ("<!-- =team.ceiling --><!-- end -->", "of which study?"),
        (
            "<!-- mars2 study: miniature table=arms --> <!-- =seeds --><!-- end -->",
            "before the next",
        ),
    ],
)
def test_what_is_wrong_in_a_page_is_told(miniature: StudyReport, page: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        filled(page, "miniature", miniature)
    assert said in str(error.value)


def test_numbers_have_names(miniature: StudyReport) -> None:
    assert quoted(miniature, "team.ceiling") == "0.507 [0.406, 0.612]"
    assert quoted(miniature, "team.ceiling mean") == "0.507"
    assert quoted(miniature, "team-single.diversity.algorithmic ci") == "[0.321, 0.362]"
    assert quoted(miniature, "team-single.diversity.algorithmic p") == "< 0.001"
    assert quoted(miniature, "team-single.ab-mcts.mcts@8 removed") == "71 %"
    assert quoted(miniature, "team-single.ceiling verdict") == "not shown"
    assert quoted(miniature, "single.ceiling per_policy") == "0.508 [0.357, 0.667]"
    assert quoted(miniature, "learning-in_all/team/nodes") == "512"
    assert quoted(miniature, "search-in_all-ab-mcts/team/Pass@N/N = 2") == "0.667 [0.227, 1.000]"
    assert quoted(miniature, "comparisons/team - single/ceiling/in all/p, Holm") == "0.348"
    assert [quoted(miniature, name) for name in ("seeds", "problems", "held")] == ["2", "24", "1"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("crowd.ceiling", "arms are single, team"),
        ("team-crowd.ceiling", "arms are single, team"),
        ("team.roof", "'roof' is no metric: there are ceiling"),
        ("team.ceiling p", "'p' is none of in_all, per_policy, mean, ci"),
        ("team-single.pass@1 p", "declared comparisons, and these are team-single.ceiling in_all"),
        ("team.ab-mcts.mcts@8 per_policy", "not measured at the end of per_policy"),
        ("wages/team/nodes", "there is no table 'wages'; there are comparisons, arms"),
        ("learning-in_all/team/node", "no column 'node'; there are arm; nodes; updates"),
        ("learning-in_all/crowd/nodes", "rows are single; team"),
        ("search-in_all-ab-mcts/team/N = 2", "several rows begin with 'team'"),
        ("years", "or one of seeds, problems"),
    ],
)
def test_unknown_numbers_are_refused_with_what_there_is(
    miniature: StudyReport, name: str, said: str
) -> None:
    with pytest.raises(UsageError) as error:
        quoted(miniature, name)
    assert said in str(error.value)


def test_the_command_writes_a_page_and_checks_it(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")

    def run(*words: str) -> tuple[int, str]:
        command = ["study", "report", str(MINIATURE), "--from-summary", *words]
        ran = CliRunner().invoke(cli, command, standalone_mode=False)
        return ran.return_value, ran.output

    words = ("--into", str(page), "--no-figures")
    assert run(*words, "--check")[0] == 1
    assert page.read_text() == PAGE
    assert run(*words)[0] == 0
    written = page.read_text()
    code, said = run(*words, "--check")
    assert (code, said.endswith(f"alone\n{page} is up to date\n")) == (0, True)
    page.write_text(written.replace("-0.036", "+0.360"), encoding="utf-8")
    code, said = run(*words, "--check", "--json")
    assert code == 1
    assert json.loads(said[said.index("{") :])["changed"] == [str(page)]
    assert list(tmp_path.iterdir()) == [page]
    with pytest.raises(UsageError, match="name it with --into"):
        cli(["study", "report", str(MINIATURE), "--check"], standalone_mode=False)


def test_figures_are_drawn_beside_the_page_the_same_each_time(
    miniature: StudyReport, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="draws")
    search = next(f for f in miniature.figures if f.name == "search")
    small = Figure("search", search.title, search.panels[:1], note=search.note)
    report = StudyReport(miniature.results, miniature.compared, miniature.tables, [small])
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    found = changes(page, "miniature", report)
    images = tmp_path / "images"
    drawn = [images / f"miniature-search{dark}.svg" for dark in ("-dark", "")]
    assert list(found) == [page, *drawn]
    write_changes(found)
    assert changes(page, "miniature", report) == {}
    drawn[1].write_text(drawn[1].read_text() + " ")
    assert list(changes(page, "miniature", report)) == [drawn[1]]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_pages_here_are_those_of_the_committed_summaries(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for study in dict.fromkeys(slot.study for slot in slots(text)):
        found = filled(text, study, of(study))
        assert found.text == text, f"mars2 study report studies/{study}.toml --into {path.name}"
        for figure in found.figures:
            for dark in ("", "-dark"):
                assert (path.parent / "images" / f"{figure.name}{dark}.svg").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_figures_of_pages_are_those_of_the_committed_summaries(path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib", reason="draws")
    if f"matplotlib=={matplotlib.__version__}" not in (ROOT / "constraints.txt").read_text():
        pytest.skip("figures are equal bit for bit with the matplotlib of constraints.txt alone")
    for study in dict.fromkeys(slot.study for slot in slots(path.read_text(encoding="utf-8"))):
        assert list(changes(path, study, of(study))) == []


def test_an_arm_has_one_colour_and_no_panel_repeats_what_is_untrained() -> None:
    report = of("scaling_law")
    figures = {f.name: f for f in report.figures}
    orders = [colours(report.results, figures[name]) for name in ("learning", "search")]
    assert orders[0] == orders[1]
    assert "base" not in {line.who for p in figures["learning"].panels for line in p.lines}
    assert orders[0][:2] == ["base", "base-team"]
    assert not [p.title for p in figures["search"].panels if "per policy" in p.title]
