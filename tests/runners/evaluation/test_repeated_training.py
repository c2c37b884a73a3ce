"""What is stored of a network's output serves the weights that it is of, and no others."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from runners.arms import evaluate as evaluate_module
from runners.arms.evaluate import keep_pass, predict_together, predict_unit
from runners.evaluation.stored_pass import META_FILE
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from tests.runners.evaluation.test_replay import VARIANTS, files_of, units_in
from tests.support.small_ablation import write_spec


def save_again(unit: Unit, place: Workplace, *, factor: float) -> None:
    """Write the checkpoint of a unit as another training would, its weights times `factor`."""
    state = torch.load(place.weights(unit.run), weights_only=True)
    state["network"] = {
        name: tensor * factor if tensor.is_floating_point() else tensor
        for name, tensor in state["network"].items()
    }
    torch.save({**state, "seconds": 12345.0}, place.weights(unit.run))


def test_nothing_is_replayed_from_weights_that_were_trained_again(tmp_path: Path) -> None:
    """The pass and the predictions of the first weights stand there when the second ones come."""
    spec = write_spec(tmp_path, VARIANTS)
    units, place = units_in(tmp_path / "work", spec)
    early, late = units[:2], units[5:7]
    predict_together(early, place)
    of_first = files_of(early[0], place)
    save_again(units[0], place, factor=0.9)
    _, whole = units_in(tmp_path / "whole", spec, max_store_bytes=0)
    shutil.copyfile(place.weights(units[0].run), whole.weights(units[0].run))

    predict_together(late, place)
    predict_unit(early[0], place)

    for unit in [early[0], *late]:
        predict_unit(unit, whole)
        assert files_of(unit, place) == files_of(unit, whole), unit.arm
    assert files_of(early[0], place)[0] != of_first[0]


@pytest.mark.parametrize("is_old", [True, False])
def test_a_pass_serves_the_weights_it_is_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_old: bool
) -> None:
    """A training repeated to the bit changes nothing; an old pass does not name its weights."""
    units, place = units_in(tmp_path / "work", write_spec(tmp_path, VARIANTS))
    meta_file = keep_pass(units[0], place, min_score=0.01).folder / META_FILE
    save_again(units[0], place, factor=0.9 if is_old else 1.0)
    if is_old:
        meta = json.loads(meta_file.read_text())
        del meta["weights_sha256"]
        meta_file.write_text(json.dumps(meta))
    monkeypatch.setattr(evaluate_module, "store_pass", _refuse)

    predict_together(units[:2], place)

    for unit in units[:2]:
        assert json.loads(files_of(unit, place)[0])
        assert ("weights_sha256" in json.loads(files_of(unit, place)[2])) == (not is_old)


def _refuse(*_: object, **__: object) -> None:
    raise AssertionError("the network ran again")
