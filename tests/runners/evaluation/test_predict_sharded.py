"""Predictions of several processes are the files that one process writes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from runners.evaluation.files import BOX_FILE, MASK_FILE, PredictionKey, is_complete
from runners.evaluation.predict import predict
from runners.evaluation.predict_sharded import PredictionInput, predict_sharded
from runners.training.checkpoint import save_final
from runners.units.unit import Unit
from tests.support.small_ablation import context, plan_spec, write_spec
from yolact_bench.build import build_detector, build_network
from yolact_bench.data import open_dataset

KEY = PredictionKey("d", "t", 3)


@pytest.fixture
def _one_thread() -> Iterator[None]:
    """A process of two would have half the threads, and might add in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_one_thread")
def test_two_processes_write_what_one_writes(tmp_path: Path) -> None:
    """Three images in batches of two: each process has one batch, and the second is short."""
    unit = plan_spec(write_spec(tmp_path), context(tmp_path / "work")).steps[0].unit
    assert isinstance(unit, Unit)
    network = build_network(unit.run)
    weights = tmp_path / "final.pt"
    save_final(weights, run=unit.run, facts={}, network=network)
    alone = predict(
        build_detector(unit.run, network, device="cpu"),
        open_dataset(unit.data, unit.split),
        tmp_path / "alone",
        KEY,
        batch_size=2,
    )
    together = predict_sharded(
        PredictionInput(run=unit.run, file=weights, data=unit.data, split=unit.split),
        tmp_path / "together",
        KEY,
        batch_size=2,
        device="cpu",
        devices=2,
        title="evaluate",
    )
    assert is_complete(together, KEY)
    for name in (BOX_FILE, MASK_FILE):
        assert (together / name).read_bytes() == (alone / name).read_bytes()
    assert '"image_id"' in (together / BOX_FILE).read_text()
