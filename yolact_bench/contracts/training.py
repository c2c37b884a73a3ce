"""What the parts of a training but its losses must do: anchors, images, matching, schedule."""

import math

import numpy as np
import torch

from yolact_bench.catalog import components
from yolact_bench.data.objects import Objects
from yolact_bench.geometry.anchors import anchor_grid, level_sizes, one_scale
from yolact_bench.shapes import Target, Targets
from yolact_bench.slots import defaults_of, form_of, options_by_fact, options_of, pick

_SIZE, _CELLS = 48, 12  # sides of input and prototypes, px


def anchors_are_as_many_on_every_cell(slot: str, name: str) -> None:
    """Of the five levels, with centres in the image; sets that need an option are left out."""
    component = components(slot)[name]
    if defaults_of(component).keys() < options_of(component).keys():
        return
    shapes = component()
    grid = anchor_grid(shapes, 160)
    assert grid.shape == (sum(side**2 for side in level_sizes(160)) * len(shapes[0]), 4)
    assert bool((grid > 0).all()) and bool((grid[:, :2] < 1).all())


def anchors_state_their_pixels(slot: str, name: str) -> None:
    """Halving the options that the fact `pixels` names halves every anchor."""
    component = components(slot)[name]
    options = options_by_fact(slot, component, "pixels")
    assert set(options) <= options_of(component).keys()
    defaults = defaults_of(component)
    if defaults.keys() == options_of(component).keys():
        half = {option: (np.array(defaults[option]) / 2).tolist() for option in options}
        assert np.allclose(np.array(component(**half)) * 2, np.array(component()))


def augmentation_makes_a_sample(slot: str, name: str) -> None:
    """Of the promised shapes and ranges; the same for the same draws; its input stays."""
    augment = pick(slot, components(slot), {"name": name})
    image = np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    boxes = np.array([[5.0, 5.0, 25.0, 30.0], [30.0, 10.0, 55.0, 35.0]])
    outlines = [[[x0, y0], [x1, y0], [x1, y1], [x0, y1]] for x0, y0, x1, y1 in boxes]
    objects = Objects(
        boxes_px=boxes,
        labels=np.arange(2),
        segments=tuple((np.array(outline),) for outline in outlines),
        is_crowd=np.zeros(2, dtype=bool),
        height=40,
        width=60,
    )
    before = image.copy(), boxes.copy()
    for seed in range(4):
        sample, again = (
            augment(
                image, objects, np.random.default_rng(seed), _SIZE, _CELLS, (124.0, 117.0, 104.0)
            )
            for _ in range(2)
        )
        target, number = sample.target, len(sample.target.labels)
        assert sample.image.shape == (_SIZE, _SIZE, 3) and sample.image.dtype == torch.uint8
        assert target.boxes.shape == (number, 4) and target.masks.shape[0] == number
        assert bool(((target.boxes >= 0) & (target.boxes <= 1)).all())
        assert bool((target.boxes[:, 2:] > target.boxes[:, :2]).all())
        assert torch.equal(sample.image, again.image)
        assert torch.equal(target.masks, again.target.masks)
    assert np.array_equal(image, before[0]) and np.array_equal(objects.boxes_px, before[1])


def matcher_serves_every_object(slot: str, name: str) -> None:
    """Labels are ignored, background or the class of the object; crowds have no anchor.

    A form for whole batches, where the matcher has one, says the same of every image.
    """
    anchors = anchor_grid(one_scale(), 64)
    form = form_of(components(slot)[name], "of_batch")
    for objects, crowds in ((0, 0), (0, 2), (1, 0), (5, 1)):
        count = objects + crowds
        left = torch.arange(count) / max(count, 1)
        target = Target(
            boxes=torch.stack([left, left * 0, left + 1 / max(count, 1), left * 0 + 0.6], 1),
            labels=torch.arange(count) + 3,
            masks=torch.zeros(count, 64, 64, dtype=torch.uint8),
            is_crowd=torch.arange(count) >= objects,
        )
        match = components(slot)[name](anchors, target)
        positive = match.labels > 0
        truth = match.truth[positive]
        assert match.labels.shape == match.truth.shape == (len(anchors),)
        assert int(match.labels.min()) >= -1
        assert torch.equal(match.labels[positive], target.labels[truth] + 1)
        assert set(truth.tolist()) == set(range(objects))
        if form is not None:
            batch = form(anchors, Targets.of([target, target]))
            assert torch.equal(batch.labels, torch.stack([match.labels] * 2))
            assert torch.equal(batch.truth[1][positive], truth)


def schedule_has_a_rate_for_every_iteration(slot: str, name: str) -> None:
    """Finite, never negative and not always 0; the common options have their meaning."""
    peaks = []
    for lr in (0.01, 0.02):
        schedule = components(slot)[name](iterations=1000, batch_size=4, lr=lr)
        assert (schedule.iterations, schedule.batch_size) == (1000, 4)
        rates = [schedule.lr_at(iteration) for iteration in range(1000)]
        assert all(math.isfinite(rate) and rate >= 0 for rate in rates)
        peaks.append(max(rates))
    assert 0 < peaks[0] < peaks[1]


def schedule_states_its_options(slot: str, name: str) -> None:
    """Lengths, of which `iterations` is one, warm-ups and rates are options, none of two kinds."""
    component = components(slot)[name]
    kinds = [options_by_fact(slot, component, kind) for kind in ("lengths", "warm_ups", "rates")]
    options = [option for kind in kinds for option in kind]
    assert "iterations" in kinds[0] and "lr" in kinds[2]
    assert len(options) == len(set(options)) and set(options) <= options_of(component).keys()


def batch_norm_freezes_smaller_batches_only(slot: str, name: str) -> None:
    """A policy never freezes a larger batch but trains a smaller one."""
    answers = [components(slot)[name](batch) for batch in (1, 5, 6, 64)]
    assert all(type(answer) is bool for answer in answers)
    assert answers == sorted(answers, reverse=True)
