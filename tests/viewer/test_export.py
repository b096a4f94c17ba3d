"""Trees as JSON, DOT and Mermaid, with names that try to be more than names."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from view_kit import HOSTILE, grow, settings, write_results

from mars2.viewer.export import diagrams, to_json
from mars2.viewer.forest import Tree, read_trees
from mars2.viewer.run import open_run

NASTY = 'a"] -> {evil}; \\" <b>#quot; %% `x` |' + HOSTILE.replace("\ud800", "")


def trees(path: Path, tree: str = "eval/team/P1") -> list[Tree]:
    grow(path, 12, settings(), tree=tree, fail=lambda i: i == 5)
    problem = tree.removeprefix("eval/team/")
    write_results(path, {problem: {"passed": [3], "selected_at": [[11, 3]]}})
    return read_trees(open_run(path))


def test_json_holds_everything_but_token_ids(tmp_path: Path) -> None:
    found = trees(tmp_path)
    value = json.loads(to_json(open_run(tmp_path), found))
    assert value["schema"] == 1
    (tree,) = value["trees"]
    assert tree["selected"] == 3
    assert tree["passed"] == [3]
    assert [n["node_id"] for n in tree["nodes"]] == list(range(1, 13))
    states = [n["state"] for n in tree["nodes"]]
    assert states.count("told") == 11
    assert states[4] == "failed"
    node = tree["nodes"][0]
    assert node["verdict"]["status"]
    assert node["generation"]["logprob"]["tokens"] == 30
    assert "token_ids" not in node["generation"]
    full = json.loads(to_json(open_run(tmp_path), found, full=True))
    assert len(full["trees"][0]["nodes"][0]["generation"]["token_ids"]) == 30


def test_dot_escapes_names(tmp_path: Path) -> None:
    text = diagrams(trees(tmp_path, f"eval/team/{NASTY}"), "dot")
    without_strings = re.sub(r'"(\\.|[^"\\])*"', '""', text)
    assert "evil" not in without_strings
    assert without_strings.count("->") == 12
    assert "peripheries=2" in text


def test_mermaid_escapes_names(tmp_path: Path) -> None:
    text = diagrams(trees(tmp_path, f"eval/team/{NASTY}"), "mermaid")
    assert text.startswith("flowchart TD\n")
    labels = re.findall(r'"[^"\n]*"', text)
    assert len(labels) == 14
    for label in labels:
        assert not set(label[1:-1].replace("<br/>", "")) & set('"<>&[]{}()|`%\\')
    assert text.count("-->") == 12
    assert "</script" not in text


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz: apt-get install graphviz")
def test_graphviz_reads_the_dot(tmp_path: Path) -> None:
    text = diagrams(trees(tmp_path, f"eval/team/{NASTY}"), "dot")
    done = subprocess.run(["dot", "-Tsvg"], input=text.encode(), capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    assert done.stdout.count(b'class="node"') == 13
    assert done.stdout.count(b'class="edge"') == 12
