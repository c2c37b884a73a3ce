"""From a data set to batches of tensors: order, draws, workers.

Every random choice is keyed by (seed, epoch, sample), so that the number of workers, a
resumption or data parallelism never changes a training.
"""

import signal
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from functools import cache

import cv2
import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, get_worker_info

from yolact_bench.data.collate import Batch, collate, collate_to_send
from yolact_bench.data.protocol import Augmentation
from yolact_bench.data.protocol import Dataset as Annotated
from yolact_bench.errors import ArmError
from yolact_bench.shapes import Sample

Key = tuple[int, int]  # epoch, index
Rgb = tuple[float, float, float]

_ORDER_TAG, _AUGMENT_TAG = 1, 2  # keep the two uses of a seed apart


@dataclass(frozen=True, eq=False)
class TrainingData(Dataset[Sample | ArmError]):
    """Augmented samples by (epoch, index).

    An `ArmError` is handed out as a value: raised in a worker it would arrive as another type.
    """

    dataset: Annotated
    augment: Augmentation
    _: KW_ONLY
    size: int
    mask_size: int
    fill: Rgb
    seed: int

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: Key) -> Sample | ArmError:
        epoch, index = key
        rng = np.random.default_rng([_AUGMENT_TAG, self.seed, epoch, index])
        try:
            image = self.dataset.image(index)
        except ArmError as error:
            return error
        objects = self.dataset.objects(index)
        return self.augment(image, objects, rng, self.size, self.mask_size, self.fill)


@dataclass(eq=False)
class IterationSampler(Sampler[list[Key]]):
    """Batches of (epoch, index), for iterations `start_iteration` to `num_iterations`.

    Each epoch is a separate permutation; a batch that an epoch cannot fill continues in the
    next, so any data set serves any batch size. Of each batch, of `batch_size` samples, `rank`
    takes every `world_size`-th.
    """

    num_samples: int
    _: KW_ONLY
    batch_size: int
    seed: int
    start_iteration: int
    num_iterations: int
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        assert self.num_samples > 0
        assert self.batch_size >= self.world_size
        self._order: tuple[int, list[int]] = (-1, [])

    def __len__(self) -> int:
        return max(0, self.num_iterations - self.start_iteration)

    def __iter__(self) -> Iterator[list[Key]]:
        for iteration in range(self.start_iteration, self.num_iterations):
            first = iteration * self.batch_size
            places = range(first, first + self.batch_size)
            yield [self._key(place) for place in places[self.rank :: self.world_size]]

    def _key(self, place: int) -> Key:
        epoch, offset = divmod(place, self.num_samples)
        if self._order[0] != epoch:
            rng = np.random.default_rng([_ORDER_TAG, self.seed, epoch])
            self._order = (epoch, rng.permutation(self.num_samples).tolist())
        return epoch, self._order[1][offset]


class TrainingLoader(DataLoader[Sample | ArmError]):
    """A loader whose iteration raises the `ArmError` that a worker met, with its kind."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        for batch in super().__iter__():
            if isinstance(batch, ArmError):
                raise batch
            yield batch


def training_loader(
    data: TrainingData, batches: IterationSampler, *, workers: int
) -> TrainingLoader:
    """Return the batches, prefetched by workers."""
    return TrainingLoader(
        data,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=_collate,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_start_worker,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers > 0 else None,
        # Otherwise it draws from torch's generator, and a resumed training would draw again.
        generator=torch.Generator(),
    )


def _collate(items: list[Sample | ArmError]) -> Batch | ArmError:
    if errors := [item for item in items if isinstance(item, ArmError)]:
        return errors[0]
    samples = [item for item in items if isinstance(item, Sample)]
    return collate(samples) if get_worker_info() is None else collate_to_send(samples)


def _start_worker(worker: int) -> None:
    # Workers are parallel already; threads inside them only get in each other's way.
    cv2.setNumThreads(0)
    # A terminal sends Ctrl-C to them too; it is the training that decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def normalise(images: UInt8[Tensor, "B S S 3"], mean: Rgb, std: Rgb) -> Float32[Tensor, "B 3 S S"]:
    """Return (x − mean) / std, channels first in shape and last in memory.

    Runs on the images' device, so that a quarter of the bytes are copied there.
    """
    offset, scale = _constant(mean, images.device), _constant(std, images.device)
    return ((images.float() - offset) / scale).permute(0, 3, 1, 2)


@cache
def _constant(rgb: Rgb, device: torch.device) -> Float32[Tensor, "3"]:
    """Return three numbers on a device, kept there: for what is sent in a step, the host waits."""
    return torch.tensor(rgb, device=device)
