"""Order, draws and workers."""

import pickle
from functools import partial
from pathlib import Path

import pytest
import torch

from tests.support.data_fixtures import FILL, tiny_spec
from tests.support.loss_cases import NoReading, NoWaiting, objects
from yolact_bench.data import Dataset, open_dataset
from yolact_bench.data.augment import AUGMENTATIONS
from yolact_bench.data.batch import IterationSampler, TrainingData, training_loader
from yolact_bench.data.collate import Batch, collate, collate_to_send, unpack_by_shifts
from yolact_bench.dataset_spec.dataset import resolve_dataset
from yolact_bench.errors import ArmError
from yolact_bench.shapes import Sample, tensors_in

SSD = partial(AUGMENTATIONS["ssd"], masks="prototype_size")


def shapes() -> Dataset:
    spec = resolve_dataset({"name": "shapes", "train_images": 10}, data_root=None)
    return open_dataset(spec, "train")


def batches(dataset: Dataset, *, workers: int = 0, start: int = 0, seed: int = 0) -> list[Batch]:
    data = TrainingData(dataset, SSD, size=64, mask_size=16, fill=FILL, seed=seed)
    batches = IterationSampler(
        len(dataset), batch_size=4, seed=seed, start_iteration=start, num_iterations=6
    )
    return [batch.to("cpu") for batch in training_loader(data, batches, workers=workers)]


def same(one: Batch, other: Batch) -> bool:
    pairs = zip(tensors_in(one), tensors_in(other), strict=True)
    counts = [tuple(len(target.labels) for target in batch.targets) for batch in (one, other)]
    return counts[0] == counts[1] and all(torch.equal(a, b) for a, b in pairs)


def sampler(num_samples: int = 10, **changes: int) -> IterationSampler:
    options = {"batch_size": 4, "seed": 0, "start_iteration": 0, "num_iterations": 10, **changes}
    return IterationSampler(num_samples, **options)


def test_workers_do_not_change_the_batches() -> None:
    alone, together = batches(shapes()), batches(shapes(), workers=2)
    assert len(alone) == 6
    assert all(same(a, b) for a, b in zip(alone, together, strict=True))


def samples_of(side: int, counts: tuple[int, ...] = (5, 0, 3)) -> list[Sample]:
    image = torch.zeros(8, 8, 3, dtype=torch.uint8)
    return [Sample(image=image, target=objects(n, 0, side, n)) for n in counts]


@pytest.mark.parametrize("side", [1, 7, 8, 16, 69])
@pytest.mark.parametrize("counts", [(5, 0, 3), (0,), (0, 0), (1,)])
def test_what_a_worker_sends_is_the_batch_bit_for_bit(side: int, counts: tuple[int, ...]) -> None:
    """1, 49 and 4,761 cells are no whole bytes."""
    samples = samples_of(side, counts)
    assert same(collate_to_send(samples).to("cpu"), collate(samples))


def test_a_mask_is_sent_as_bits() -> None:
    """550 × 550 cells are 37,812.5 bytes of 8; one at the network's size has 302,500 otherwise."""
    sent = collate_to_send(samples_of(550, (1, 1)))
    assert sent.targets.objects.masks.nbytes == 2 * 37_813
    assert sent.to("cpu").targets.objects.masks.nbytes == 2 * 302_500


def test_batches_of_workers_are_sent_as_bits() -> None:
    data = TrainingData(shapes(), SSD, size=64, mask_size=16, fill=FILL, seed=0)
    for workers, mask_shape in ((0, None), (1, (16, 16))):
        (batch,) = training_loader(data, sampler(num_iterations=1), workers=workers)
        assert batch.mask_shape == mask_shape


@pytest.mark.parametrize("side", [7, 16])
def test_a_device_unpacks_masks_without_waiting(side: int) -> None:
    samples = samples_of(side)
    sent = collate_to_send(samples)
    with NoWaiting(), NoReading():
        masks = unpack_by_shifts(sent.targets.objects.masks, side, side)
    assert torch.equal(masks, collate(samples).targets.objects.masks)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("side", [69, 138, 550])
def test_a_gpu_unpacks_the_batch_bit_for_bit(side: int) -> None:
    samples = samples_of(side)
    moved = collate_to_send(samples).pin_memory().to("cuda")
    assert moved.targets.objects.masks.is_cuda
    assert same(moved.to("cpu"), collate(samples))


def test_resuming_continues_with_the_batches_that_were_due() -> None:
    assert all(
        same(a, b) for a, b in zip(batches(shapes())[4:], batches(shapes(), start=4), strict=True)
    )


def test_another_seed_gives_other_batches() -> None:
    assert not same(batches(shapes())[0], batches(shapes(), seed=1)[0])


def test_an_image_is_changed_differently_in_each_epoch() -> None:
    """10 images, batches of 4: each of the first 20 keys occurs once, in two epochs."""
    keys = [key for batch in sampler(num_iterations=5) for key in batch]
    assert sorted(keys) == [(epoch, index) for epoch in (0, 1) for index in range(10)]
    assert [index for epoch, index in keys if epoch == 0] != [
        index for epoch, index in keys if epoch == 1
    ]


def test_a_set_smaller_than_a_batch_goes_on_into_the_next_epochs() -> None:
    """3 images, a batch of 8: epochs 0 and 1 whole, and two of epoch 2."""
    keys = next(iter(sampler(3, batch_size=8)))
    assert [epoch for epoch, _ in keys] == [0, 0, 0, 1, 1, 1, 2, 2]
    assert sorted(index for epoch, index in keys if epoch == 1) == [0, 1, 2]


def test_ranks_share_a_batch_without_changing_it() -> None:
    whole = list(sampler())
    first, second = list(sampler(world_size=2)), list(sampler(rank=1, world_size=2))
    for batch, a, b in zip(whole, first, second, strict=True):
        assert batch == [key for pair in zip(a, b, strict=True) for key in pair]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_truncated_image_stops_training_with_its_kind_and_file(
    tmp_path: Path, workers: int
) -> None:
    dataset = open_dataset(tiny_spec(tmp_path / "set"), "train")
    broken = tmp_path / "set" / "images" / "30.png"
    broken.write_bytes(broken.read_bytes()[:-20])
    with pytest.raises(ArmError, match=r"30\.png: the file is truncated") as caught:
        batches(dataset, workers=workers)
    assert caught.value.kind == "bad_image"


def test_an_arm_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(ArmError("bad_image", "a.jpg: broken")))
    assert (error.kind, str(error)) == ("bad_image", "a.jpg: broken")
