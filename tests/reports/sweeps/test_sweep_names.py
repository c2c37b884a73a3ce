"""Which sweep or ablation a name in a report command means."""

from pathlib import Path

import pytest

from reports.sweeps.build import build_sweep, hides_a_sweep, sweep_called
from tests.support.fake_sweeps import save_sweep, sweep_of
from tests.support.fake_work import NAME, write_work
from yolact_bench.errors import SpecError


def test_a_name_means_the_ablation_unless_only_a_sweep_has_it(tmp_path: Path) -> None:
    write_work(tmp_path)
    save_sweep(tmp_path, sweep_of())
    save_sweep(tmp_path, sweep_of(name=NAME))

    assert sweep_called(tmp_path, "nms") == "nms"
    assert sweep_called(tmp_path, NAME) is None
    assert hides_a_sweep(tmp_path, NAME)
    assert sweep_called(tmp_path, f"sweeps/{NAME}") == NAME
    assert sweep_called(tmp_path, "nmz") is None


def test_an_unknown_sweep_names_those_that_exist(tmp_path: Path) -> None:
    save_sweep(tmp_path, sweep_of())
    with pytest.raises(SpecError, match=r"no sweep named 'nmz' .did you mean 'nms'"):
        build_sweep(tmp_path, "nmz")
