"""Published numbers: every one has a source, and a recalled one says so."""

from pathlib import Path

import pytest

from reports.summary.paper import check_paper, paper_group, paper_groups
from tests.support.paths import ABLATIONS
from yolact_bench.errors import SpecError
from yolact_bench.spec.ablation import load
from yolact_bench.spec.presets import PRESETS

GROUP = """
schema: 1
units: {mask_ap: {label: mask AP, digits: 1}}
sources: {readme: a README}
groups:
  g:
    title: T
    split: val
    gpu: null
    rows:
      - {name: r, values: {mask_ap: 1.0}, source: readme, where: null, checked: true}
"""


def test_the_models_of_the_readme_are_there() -> None:
    """README of dbolya/yolact: R-101 29.8 at 33.5 fps, YOLACT++ R-50 34.1 at 33.5 fps."""
    rows = {row.name: row for row in paper_group("yolact.models").rows}
    assert rows["YOLACT-550 R-101"].values == {"mask_ap": 29.8, "fps": 33.5}
    assert rows["YOLACT-550++ R-50"].values == {"mask_ap": 34.1, "fps": 33.5}
    assert rows["YOLACT-550 R-101"].checked
    assert "yolact_r101" in PRESETS


def test_recalled_numbers_are_not_marked_as_checked() -> None:
    assert not any(row.checked for row in paper_group("yolact.prototypes").rows)
    assert all(row.checked for row in paper_group("yolact_plus.dcn").rows)


@pytest.mark.parametrize("key", paper_groups())
def test_every_group_has_rows_with_a_source_and_plausible_numbers(key: str) -> None:
    group = paper_group(key)
    assert group.rows
    for row in group.rows:
        assert row.source
        for name, value in row.values.items():
            low, high = (-15, 30) if name.startswith("delta") else (1, 120)
            assert low <= value <= high


def test_an_unknown_group_names_the_nearest() -> None:
    with pytest.raises(SpecError, match=r"'yolact_plus.dnc' .did you mean 'yolact_plus.dcn'"):
        paper_group("yolact_plus.dnc")


def test_an_unknown_row_of_a_group_names_the_nearest() -> None:
    check_paper("yolact.prototypes", ["k = 8", "k = 256"])
    with pytest.raises(SpecError, match=r"yolact.prototypes has no row named 'k=8' .did you mean"):
        check_paper("yolact.prototypes", ["k=8"])


@pytest.mark.parametrize("spec", sorted(ABLATIONS.glob("*.yaml")), ids=lambda p: p.stem)
def test_the_rows_that_our_specs_repeat_exist(spec: Path) -> None:
    ablation = load(spec)
    if ablation.paper is not None:
        check_paper(ablation.paper, ablation.paper_rows.values())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema: 1", "schema: 2", "expected schema: 1"),
        ("{mask_ap: 1.0}", "{mask_pa: 1.0}", "no unit is named 'mask_pa' .did you mean 'mask_ap'"),
        ("source: readme", "source: hearsay", "no source is named 'hearsay'"),
        (", checked: true", "", "missing checked"),
        ("checked: true", "checked: true, page: 3", "unknown key 'page'"),
    ],
)
def test_a_mistake_in_the_file_names_the_row(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    file = tmp_path / "paper.yaml"
    assert old in GROUP
    file.write_text(GROUP)
    assert paper_group("g", file).rows[0].values == {"mask_ap": 1.0}
    changed = tmp_path / "changed.yaml"
    changed.write_text(GROUP.replace(old, new, 1))
    with pytest.raises(SpecError, match=message):
        paper_group("g", changed)
