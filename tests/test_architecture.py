"""What keeps the tree readable: sizes, names, headers."""

from pathlib import Path

import pytest

from tests.support.paths import ABLATIONS as ABLATION_FILES
from tests.support.paths import ROOT
from yolact_bench.spec.ablation import load

SOURCES = sorted(
    p for d in ("yolact_bench", "runners", "reports") for p in (ROOT / d).rglob("*.py")
)
ABLATIONS = sorted(ABLATION_FILES.glob("*.yaml"))
GRAB_BAGS = {"utils", "helpers", "common", "misc", "manager", "base"}


def test_there_are_sources_and_ablations_to_look_at() -> None:
    assert len(SOURCES) > 80
    assert ABLATIONS


def test_no_file_is_longer_than_300_lines() -> None:
    lengths = {str(p.relative_to(ROOT)): p.read_text().count("\n") for p in SOURCES}
    assert {path: length for path, length in lengths.items() if length > 300} == {}


def test_no_file_is_a_grab_bag() -> None:
    assert [p for p in SOURCES if p.stem in GRAB_BAGS] == []


@pytest.mark.parametrize("path", ABLATIONS, ids=lambda p: p.stem)
def test_an_ablation_states_question_command_cost_and_expectation(path: Path) -> None:
    ablation = load(path)
    header = " ".join(ablation.header)
    assert ablation.question.endswith("?")
    assert f"yolact-bench run ablations/{path.name}" in header
    assert "Cost:" in header
    assert "Expect:" in header
    assert ablation.name == path.stem
