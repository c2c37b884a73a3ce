"""A record stands for the weights that it is of, and for no others in their place."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from runners.arms.evaluate import evaluate_unit
from runners.arms.finish import ensure_accuracy
from runners.arms.standing_record import standing_accuracy
from runners.arms.train import ensure_trained
from runners.evaluation.files import META_FILE
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from tests.runners.evaluation.test_repeated_training import save_again
from tests.runners.evaluation.test_replay import VARIANTS, units_in
from tests.support.small_ablation import write_spec
from yolact_bench.work_names import RESAMPLES


@pytest.fixture
def scored(tmp_path: Path) -> tuple[Unit, Workplace]:
    """A unit with its record, as a place of the same work directory sees it."""
    units, place = units_in(tmp_path / "work", write_spec(tmp_path, VARIANTS))
    place.store.add(evaluate_unit(units[0], place, ensure_trained(units[0], place)))
    return units[0], place


def _record_again(place: Workplace, unit: Unit, **changes: object) -> None:
    (record,) = place.store.records()
    place.store.add(replace(record, **changes))  # type: ignore[arg-type]
    assert place.store.accuracy(unit.detect_digest) == replace(record, **changes)  # type: ignore[arg-type]


def test_weights_in_the_place_of_others_are_scored_again(
    scored: tuple[Unit, Workplace], caplog: pytest.LogCaptureFixture
) -> None:
    unit, place = scored
    first = standing_accuracy(unit.run, place)
    assert first is not None
    assert first.weights_sha256 == place.weights_sha256(unit.run)
    resamples = place.work_dir / RESAMPLES / f"{unit.detect_digest}.npz"
    resamples.parent.mkdir(exist_ok=True)
    resamples.write_bytes(b"of the first weights")

    save_again(unit, place, factor=0.5)

    assert standing_accuracy(unit.run, place) is None
    assert "final.pt has been replaced since it was scored" in caplog.text
    second = ensure_accuracy(unit, place)
    assert second.weights_sha256 == place.weights_sha256(unit.run) != first.weights_sha256
    assert standing_accuracy(unit.run, place) == second
    assert len(place.store.records()) == 2
    assert not resamples.exists()


def test_a_file_saved_again_with_equal_weights_is_not_scored_again(
    scored: tuple[Unit, Workplace],
) -> None:
    unit, place = scored
    save_again(unit, place, factor=1.0)
    assert ensure_accuracy(unit, place) == place.store.records()[0]
    assert len(place.store.records()) == 1


def test_a_record_stands_where_the_weights_were_removed(scored: tuple[Unit, Workplace]) -> None:
    unit, place = scored
    place.weights(unit.run).unlink()
    assert standing_accuracy(unit.run, place) == place.store.records()[0]


def test_damaged_weights_are_not_those_of_a_record(scored: tuple[Unit, Workplace]) -> None:
    unit, place = scored
    place.weights(unit.run).write_bytes(b"no weights")
    assert standing_accuracy(unit.run, place) is None


@pytest.mark.parametrize("has_note", [True, False])
def test_of_an_earlier_record_the_predictions_say_which_weights(
    scored: tuple[Unit, Workplace], has_note: bool
) -> None:
    """Those of the earliest versions do not; nothing can be known then."""
    unit, place = scored
    _record_again(place, unit, weights_sha256="")
    save_again(unit, place, factor=0.5)
    if not has_note:
        note = place.predictions(unit.detect_digest) / META_FILE
        meta = json.loads(note.read_text())
        del meta["weights_sha256"]
        note.write_text(json.dumps(meta))
    assert (standing_accuracy(unit.run, place) is None) == has_note


def test_weights_that_lay_there_long_before_are_not_read_again(
    scored: tuple[Unit, Workplace], monkeypatch: pytest.MonkeyPatch
) -> None:
    unit, place = scored
    _record_again(place, unit, time="2999-01-01T00:00:00+00:00")
    monkeypatch.setattr(Workplace, "weights_sha256", lambda *_: pytest.fail("read"))
    assert standing_accuracy(unit.run, place) is not None
