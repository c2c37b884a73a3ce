"""Evaluations of small arms, object by object: what scoring would leave behind."""

from dataclasses import dataclass

import numpy as np

from yolact_bench.statistics.bootstrap import multiplicities, resampled_ap
from yolact_bench.statistics.difference import SeedResult
from yolact_bench.statistics.matches import Matches

IMAGES, CLASSES, OBJECTS, FALSE_ALARMS = 60, 2, 150, 100
DRAWN = multiplicities("detections", num_images=IMAGES, replicates=150)
ONCE_AND_DRAWN = np.vstack([np.ones((1, IMAGES), np.int32), DRAWN])


@dataclass(frozen=True)
class Scene:
    """Objects that all arms look for."""

    image: np.ndarray
    label: np.ndarray
    easy: np.ndarray

    @staticmethod
    def draw(rng: np.random.Generator) -> "Scene":
        """Objects of one image are alike: images differ, not only objects."""
        image, label = rng.integers(IMAGES, size=OBJECTS), rng.integers(CLASSES, size=OBJECTS)
        by_image = rng.normal(0.0, 0.06, IMAGES)
        return Scene(image, np.sort(label), by_image[image] + rng.normal(0.0, 0.06, OBJECTS))


def evaluation(rng: np.random.Generator, scene: Scene, quality: np.ndarray) -> Matches:
    """A detection for each object, whose mask IoU depends on the arm's quality on the image."""
    iou = 0.7 + quality[scene.image] + scene.easy + rng.normal(0.0, 0.05, OBJECTS)
    steps = np.clip(np.floor((iou - 0.5) / 0.05) + 1, 0, 10).astype(int)
    matched = np.concatenate([(1 << steps) - 1, np.zeros(FALSE_ALARMS, int)]).astype(np.uint16)
    image = np.concatenate([scene.image, rng.integers(IMAGES, size=FALSE_ALARMS)])
    label = np.concatenate([scene.label, rng.integers(CLASSES, size=FALSE_ALARMS)])
    score = np.concatenate([iou, rng.normal(0.55, 0.1, FALSE_ALARMS)])
    score += rng.normal(0.0, 0.05, len(score))
    order = np.lexsort((-score, label))
    return Matches(
        num_images=IMAGES,
        num_classes=CLASSES,
        image=image[order].astype(np.int32),
        label=label[order].astype(np.int16),
        score=score[order],
        matched=np.stack([matched[order]] * 4),
        ignored=np.zeros((4, len(order)), np.uint16),
        truth_image=scene.image.astype(np.int32),
        truth_label=scene.label.astype(np.int16),
        truth_count=np.ones((4, OBJECTS), np.int32),
    )


def qualities(rng: np.random.Generator, quality: float, *, seeds: int, luck: float) -> np.ndarray:
    """Quality of each seed on each image [seeds, IMAGES]: every arm has images that it favours."""
    favour = rng.normal(0.0, 0.05, IMAGES)
    return quality + favour + rng.normal(0.0, luck, (seeds, 1))


def arm(
    rng: np.random.Generator, scene: Scene, name: str, *, quality: float, seeds: int, luck: float
) -> list[SeedResult]:
    """AP of an arm's seeds, whose quality differs from seed to seed by `luck`."""
    results = []
    for seed, trained in enumerate(qualities(rng, quality, seeds=seeds, luck=luck)):
        ap = resampled_ap(evaluation(rng, scene, trained), ONCE_AND_DRAWN).mean(axis=1)
        results.append(
            SeedResult(point=float(ap[0]), resamples=ap[1:], training=f"{name}{seed}", seed=seed)
        )
    return results


def true_ap(rng: np.random.Generator, *, quality: float, luck: float, repeats: int) -> float:
    """The mean AP of arms of this quality, on scenes and seeds drawn anew."""
    total = 0.0
    for _ in range(repeats):
        trained = qualities(rng, quality, seeds=1, luck=luck)[0]
        ap = resampled_ap(evaluation(rng, Scene.draw(rng), trained), ONCE_AND_DRAWN[:1])
        total += float(ap.mean())
    return total / repeats
