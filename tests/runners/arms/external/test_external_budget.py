"""Rows of other frameworks under a smoke budget."""

from pathlib import Path

from tests.runners.arms.external.test_external import PERFECT, write_spec
from yolact_bench.spec.ablation import load
from yolact_bench.spec.external import Command


def test_under_a_smoke_budget_a_command_has_its_stand_in_and_files_are_left_out(
    tmp_path: Path,
) -> None:
    stand_in = PERFECT + "    smoke: '{python} small.py {out}'\n"
    spec = write_spec(tmp_path, stand_in + "  given: {segm: masks.json}\n")
    (row,) = load(spec, budget="smoke").external
    assert isinstance(row.entry, Command)
    assert row.entry.text == "{python} small.py {out}"
    assert [row.name for row in load(spec).external] == ["perfect", "given"]
