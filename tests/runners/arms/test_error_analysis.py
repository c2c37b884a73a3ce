"""The error analysis of a unit agrees with its record and can be kept."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from runners.arms.analyse import analyse_errors
from runners.arms.evaluate import evaluate_unit, keep_pass, predict_unit
from runners.arms.oracles.ladder import ORACLES
from runners.arms.train import ensure_trained
from runners.evaluation.error_types import ERROR_TYPES, OPPOSITES
from tests.runners.evaluation.test_repeated_training import save_again
from tests.runners.evaluation.test_replay import VARIANTS, files_of, record_batches, units_in
from tests.support.small_ablation import write_spec
from yolact_bench.detector import Detector
from yolact_bench.results.store import Store


@pytest.mark.parametrize("is_stored", [True, False])
def test_an_evaluated_unit_is_analysed_from_its_own_numbers(
    tmp_path: Path, is_stored: bool
) -> None:
    """AP50 is the record's and the ladder starts at its AP, with a stored pass and without."""
    units, place = units_in(tmp_path / "work", write_spec(tmp_path, VARIANTS))
    unit = next(one for one in units if one.arm == "rescored")
    accuracy = evaluate_unit(unit, place, ensure_trained(unit, place))
    if is_stored:
        keep_pass(unit, place, min_score=0.01)

    errors = analyse_errors(unit, place)

    assert set(errors.oracles) == set(ORACLES)
    assert errors.oracles["none"] == accuracy.mask.ap
    assert set(errors.mask) == set(errors.box) == {"ap50", *ERROR_TYPES, *OPPOSITES}
    assert errors.mask["ap50"] == pytest.approx(accuracy.mask.ap50, abs=1e-12)
    assert errors.box["ap50"] == pytest.approx(accuracy.box.ap50, abs=1e-12)
    store = Store(tmp_path / "results.jsonl")
    store.add(errors)
    assert store.errors(unit.run.detect_digest) == errors


def test_the_network_does_not_run_where_a_pass_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    units, place = units_in(tmp_path / "work", write_spec(tmp_path, VARIANTS))
    evaluate_unit(units[0], place, ensure_trained(units[0], place))
    whole = analyse_errors(units[0], place)
    keep_pass(units[0], place, min_score=0.01)
    monkeypatch.setattr(Detector, "predict", lambda *_: pytest.fail("the network ran"))

    assert analyse_errors(units[0], place).oracles == whole.oracles


def test_the_ladder_starts_from_the_batches_of_the_predictions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three images, predicted two at a time; the stored pass, one at a time, rounds otherwise."""
    units, place = units_in(tmp_path / "work", write_spec(tmp_path, VARIANTS))
    ensure_trained(units[0], place)
    predict_unit(units[0], replace(place, eval_batch=2))
    keep_pass(units[0], place, min_score=0.01)
    batches = record_batches(monkeypatch)

    analyse_errors(units[0], place)

    assert batches == [2, 1]


def test_predictions_that_were_deleted_are_made_again(tmp_path: Path) -> None:
    units, place = units_in(tmp_path / "work", write_spec(tmp_path, VARIANTS))
    evaluate_unit(units[0], place, ensure_trained(units[0], place))
    before = analyse_errors(units[0], place)
    shutil.rmtree(place.predictions(units[0].run.detect_digest))

    after = analyse_errors(units[0], place)

    assert (after.box, after.mask) == (before.box, before.mask)


def test_predictions_that_were_scored_are_analysed_after_another_training(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The record stands for the first weights: so do its types of error, and no ladder mixes."""
    units, place = units_in(tmp_path / "work", write_spec(tmp_path, VARIANTS))
    accuracy = evaluate_unit(units[0], place, ensure_trained(units[0], place))
    before = files_of(units[0], place)
    save_again(units[0], place, factor=0.9)

    errors = analyse_errors(units[0], place)

    assert files_of(units[0], place) == before
    assert errors.mask["ap50"] == pytest.approx(accuracy.mask.ap50, abs=1e-12)
    assert errors.oracles == {}
    assert "no oracle ladder" in caplog.text
