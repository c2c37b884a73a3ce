"""Batches and schedules divided by a number of devices: sums on paper."""

from pathlib import Path

import pytest
from torch import nn

from runners.arms.train import ensure_trained
from runners.system.join_ranks import check_devices, device_of
from runners.system.torchrun import TorchrunProcess, torchrun_process
from runners.units.lr_scaling import check_shares, scale_run
from tests.support.rank_cases import shared_unit
from yolact_bench.build import build_network
from yolact_bench.errors import SpecError
from yolact_bench.model.joint_batch_norm import JointBatchNorm2d, share_batch_norm
from yolact_bench.spec.presets import PRESETS
from yolact_bench.training_parts import build_schedule, build_training_loader

STEPS = {"name": "steps", "iterations": 1001, "batch_size": 8, "lr": 0.001, "steps": [300, 700]}


def test_linear_scaling_multiplies_batch_and_rate_and_divides_iterations_rounded_up() -> None:
    """On 4 devices: 8 × 4 images, 0.001 × 4, 1001 / 4 = 250.25, 300 / 4 = 75, 700 / 4 = 175."""
    run = PRESETS["yolact_tiny"].changed({"schedule": STEPS})
    made = scale_run(run, scaling="linear", devices=4).schedule
    assert made["batch_size"] == 32
    assert made["lr"] == pytest.approx(0.004)
    assert (made["iterations"], made["steps"]) == (251, [75, 175])
    assert (made["warmup"], made["warmup_lr"]) == (500, 1e-4)


def test_linear_scaling_knows_the_cosine_too() -> None:
    choice: dict[str, object] = {"name": "cosine", "iterations": 100, "batch_size": 2}
    choice |= {"lr": 0.01, "final_lr": 0.001, "warmup": 0}
    run = PRESETS["yolact_tiny"].changed({"schedule": choice})
    made = scale_run(run, scaling="linear", devices=2)
    assert (made.schedule["iterations"], made.schedule["batch_size"]) == (50, 4)
    assert made.schedule["final_lr"] == pytest.approx(0.002)
    assert build_schedule(made).lr_at(50) == pytest.approx(0.002)


def test_keeping_the_schedule_changes_nothing_of_a_run() -> None:
    run = PRESETS["yolact_tiny"]
    assert scale_run(run, scaling="keep", devices=4) is run
    with pytest.raises(SpecError, match="--scaling sqrt: write keep or linear"):
        scale_run(run, scaling="sqrt", devices=4)


def test_a_batch_that_cannot_be_shared_evenly_is_refused_with_what_would_do() -> None:
    check_shares(8, 4)
    with pytest.raises(SpecError, match="batch_size 6 or 9, or --devices 2 or 4"):
        check_shares(8, 3)
    with pytest.raises(SpecError, match="batch_size 5, or --devices 2"):
        check_shares(2, 5)


def test_an_uneven_batch_stops_before_any_process_starts(tmp_path: Path) -> None:
    unit, place = shared_unit(tmp_path, devices=3)
    with pytest.raises(SpecError, match="cannot be shared evenly by 3 devices"):
        ensure_trained(unit, place)


def test_two_ranks_load_the_images_of_one_between_them(tmp_path: Path) -> None:
    unit, place = shared_unit(tmp_path, devices=2)
    dataset = place.datasets.open(unit.data, "train")
    network = build_network(unit.run, initial=False)

    def loader(rank: int, size: int) -> object:
        return build_training_loader(
            unit.run, network, dataset, start_iteration=1, workers=0, rank=rank, world_size=size
        )

    for whole, first, second in zip(loader(0, 1), loader(0, 2), loader(1, 2), strict=True):  # type: ignore[call-overload]
        assert whole.images[0::2].equal(first.images)
        assert whole.images[1::2].equal(second.images)
        assert whole.targets.counts[1::2] == second.targets.counts


def test_a_rank_has_the_device_of_its_number_from_the_chosen_one_on() -> None:
    assert [device_of("cuda:2", rank) for rank in (0, 1)] == ["cuda:2", "cuda:3"]
    assert [device_of("cuda", rank) for rank in (0, 3)] == ["cuda:0", "cuda:3"]
    assert device_of("cpu", 1) == "cpu"


def test_fewer_than_one_device_and_more_than_there_are_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    check_devices("cuda:2", 2)
    with pytest.raises(SpecError, match="4 CUDA devices, of which 2 from cuda:2 on"):
        check_devices("cuda:2", 3)
    with pytest.raises(SpecError, match="--devices 0: write 1 or more"):
        check_devices("cpu", 0)


def test_torchrun_is_recognised_by_all_of_its_words() -> None:
    words = {"RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8"}
    assert torchrun_process(words) is None
    words |= {"MASTER_ADDR": "node0", "MASTER_PORT": "29500"}
    assert torchrun_process(words) == TorchrunProcess(rank=5, local_rank=1, size=8)


def test_a_joint_batch_norm_has_the_names_of_a_plain_one() -> None:
    """Checkpoints do not depend on the number of devices that wrote them."""
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.BatchNorm2d(4)))
    before = {name: tensor.data_ptr() for name, tensor in network.state_dict().items()}
    share_batch_norm(network, None)
    assert isinstance(network[1][0], JointBatchNorm2d)
    assert {name: t.data_ptr() for name, t in network.state_dict().items()} == before
