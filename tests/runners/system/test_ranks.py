"""Two processes that share each batch of a training, against one that has it all."""

import json
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from runners.arms.evaluate import evaluate_unit
from runners.arms.train import ensure_trained
from runners.system.interrupt import TrainingStop
from runners.system.rank_processes import share_devices
from runners.workdir.stop_file import clear_stop_request, request_stop
from tests.support.rank_cases import (
    largest_difference,
    norm_of_one,
    norm_of_rank,
    shared_unit,
    weights,
)
from yolact_bench.errors import ArmError, SpecError

pytestmark = pytest.mark.slow  # each starts processes that load torch

RESCORED: dict[str, object] = {
    "rescore_net": {"name": "mask_iou", "channels": [8, 16, 32]},
    "mask_iou_loss": {"name": "smooth_l1"},
    "batch_norm": {"name": "frozen"},
}


def trained_by(folder: Path, devices: int, changes: dict[str, object]) -> dict[str, torch.Tensor]:
    """The weights after a training by a number of processes."""
    unit, place = shared_unit(folder / str(devices), devices=devices, changes=changes)
    done = ensure_trained(unit, place)
    assert done.devices == devices
    return weights(done.weights)


@pytest.mark.parametrize(
    "changes",
    [{"batch_norm": {"name": "frozen"}}, RESCORED],
    ids=["frozen", "rescored"],
)
def test_one_step_of_two_processes_is_that_of_one_on_the_joint_batch(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    """SGD's first step is rate × (gradient + decay): at rate 1, equal weights are equal gradients.

    Gradients are bounded to norm 1, and so are compared with 1, not with the weights.
    """
    step = {
        "schedule.iterations": 1,
        "schedule.warmup": 0,
        "schedule.lr": 1.0,
        "schedule.clip_norm": 1.0,
    }
    one, two = (trained_by(tmp_path, n, {**changes, **step}) for n in (1, 2))
    assert largest_difference(one, two) < 1e-5


def test_joint_batch_norm_has_the_outputs_statistics_and_gradients_of_the_joint_batch() -> None:
    """In double precision: through twenty layers of a network float32 leaves no digits to compare.

    The second process has twice the contrast of the first, so that its own statistics are others.
    """
    two = share_devices(
        norm_of_rank, (), devices=2, device="cpu", should_stop=lambda: False, on_log=None
    )
    one = norm_of_one()
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(two[name], tensor, rtol=1e-10, atol=1e-12, msg=name)


def test_a_training_goes_on_with_another_number_of_devices_and_ends_the_same(
    tmp_path: Path,
) -> None:
    changes: dict[str, object] = {"batch_norm": {"name": "frozen"}, "schedule.optimizer": "sgd"}
    whole = trained_by(tmp_path, 1, changes)
    unit, place = shared_unit(tmp_path / "broken", devices=2, changes=changes)
    folder = place.checkpoint_folder(unit.run)
    request_stop(folder)
    with pytest.raises(TrainingStop):
        ensure_trained(unit, place)
    clear_stop_request(folder)
    done = ensure_trained(unit, replace(place, devices=1))
    assert largest_difference(whole, weights(done.weights)) < 1e-3
    line = json.loads((folder / "log.jsonl").read_text().splitlines()[-1])
    assert line["iteration"] == 3


def test_evaluation_by_two_processes_leaves_the_files_of_one(tmp_path: Path) -> None:
    unit, place = shared_unit(tmp_path, devices=1)
    training = ensure_trained(unit, place)
    folder = place.predictions(unit.run.detect_digest)
    files = []
    for devices in (1, 2):
        accuracy = evaluate_unit(unit, replace(place, devices=devices), training)
        files.append([(folder / name).read_bytes() for name in ("bbox.json", "segm.json")])
        (folder / "meta.json").unlink()
        assert accuracy.num_images == 3
    assert files[0] == files[1]


def test_the_death_of_one_process_ends_the_training_with_one_message(tmp_path: Path) -> None:
    unit, place = shared_unit(tmp_path, devices=2, changes={"schedule.iterations": 100_000})

    killed: list[float] = []

    def kill_one(iteration: int, points: Mapping[str, float]) -> None:
        killed.append(time.monotonic())
        children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
        ranks = [
            pid for pid in children if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()
        ]
        os.kill(int(ranks[-1]), signal.SIGKILL)

    with pytest.raises(ArmError, match=r"process 1 of the 2 .* died \(signal SIGKILL\)") as caught:
        ensure_trained(unit, place, on_log=kill_one)
    assert caught.value.kind == "rank_died"
    assert time.monotonic() - killed[0] < 300  # gloo alone would wait for half an hour


def test_a_mistake_that_one_process_finds_is_told_as_it_is(tmp_path: Path) -> None:
    unit, place = shared_unit(tmp_path, devices=2)
    folder = place.checkpoint_folder(unit.run)
    folder.mkdir(parents=True)
    torch.save({"schema": 0}, folder / "last.pt")
    with pytest.raises(SpecError, match=r"last\.pt is damaged: its schema is 0"):
        ensure_trained(unit, place)
