"""The error analysis of a unit agrees with its record and can be kept."""

from dataclasses import replace
from pathlib import Path

import pytest

from runners.arm import ensure_trained, evaluate_unit
from runners.error_split import ERROR_TYPES, OPPOSITES
from runners.errors import analyse
from runners.oracles import ORACLES
from runners.shared_pass import keep_pass
from tests.small_ablation import write_spec
from tests.test_replay import VARIANTS, units_in
from yolact_bench.errors import SpecError
from yolact_bench.results.store import Store


def test_an_evaluated_unit_is_analysed_from_its_own_numbers(tmp_path: Path) -> None:
    """The ladder starts at the AP of the record, and AP50 is the one of the record."""
    units, place = units_in(tmp_path / "work", write_spec(tmp_path, VARIANTS))
    unit = next(one for one in units if one.arm == "rescored")
    with pytest.raises(SpecError, match="cannot be read"):
        analyse(unit, place, oracles=False)
    accuracy = evaluate_unit(unit, place, ensure_trained(unit, place))
    keep_pass(unit, place, min_score=0.05)

    errors = analyse(unit, place)

    assert set(errors.oracles) == set(ORACLES)
    assert errors.oracles["none"] == accuracy.mask.ap
    assert set(errors.mask) == set(errors.box) == {"ap50", *ERROR_TYPES, *OPPOSITES}
    assert errors.mask["ap50"] == pytest.approx(accuracy.mask.ap50, abs=1e-12)
    assert errors.box["ap50"] == pytest.approx(accuracy.box.ap50, abs=1e-12)
    assert analyse(unit, replace(place, max_store=0)).oracles == {}
    store = Store(tmp_path / "results.jsonl")
    store.add(errors)
    assert store.errors(unit.run.detect_digest) == errors
