"""Scores of detection variants in memory are those of their evaluation from files, bit for bit."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from runners.arms.evaluate import keep_pass, predict_together
from runners.arms.train import ensure_trained
from runners.evaluation.coco.index import truth_index
from runners.evaluation.score import Scores, score_predictions
from runners.sweep.replay import detect
from runners.sweep.replay.overlaps import ImageObjects
from runners.sweep.replay.scorer import TrialScorer
from runners.units.check import check
from runners.units.unit import Unit
from runners.units.workplace import Workplace
from tests.runners.evaluation.test_replay import VARIANTS
from tests.support.planted_pass import plant
from tests.support.small_ablation import context, plan_spec, write_spec
from yolact_bench.catalog import components
from yolact_bench.errors import ArmError
from yolact_bench.geometry.masks import LinearCombination

NMS_OPTIONS: Mapping[str, tuple[dict[str, object], ...]] = {
    "fast": ({"max_iou": 0.3, "top_k": 20}, {"min_score": 0.3, "max_detections": 7}),
    "cross_class_fast": ({"max_iou": 0.7}, {"top_k": 9}),
    "sequential": ({"max_iou": 0.6, "grid_px": None}, {"max_detections": 400}),
    "soft": ({"decay": "linear"}, {"sigma": 0.2, "min_decayed": 0.05}),
    "matrix": ({"decay": "linear", "min_score": 0.01}, {"top_k": 30}),
    "cluster": ({"max_iou": 0.7}, {"top_k": 10}),
    "diou": ({"max_diou": 0.3}, {"min_score": 0.01}),
}
OTHERS = ({"max_detections": 7}, {"min_score": 0.3})  # options that every NMS has
MASKS: Mapping[str, dict[str, object]] = {
    "without_crop": {"assembly.crop": False},
    "at_a_higher_threshold": {"assembly.mask_threshold": 0.7},
    "rescored": {"rescore": "mask_iou"},
    "rescored_without_crop": {"rescore": "mask_iou", "assembly.crop": False, "nms": "soft"},
}
CHANGES: Mapping[str, Mapping[str, object]] = {
    **{
        f"{name}_{number}": {"nms": {"name": name, **options}}
        for name in components("nms")
        for number, options in enumerate(({}, *NMS_OPTIONS.get(name, OTHERS)))
    },
    **MASKS,
}
SOME = {
    name: CHANGES[name]
    for name in ("fast_1", "sequential_0", "soft_0", "without_crop", "rescored_without_crop")
}


@dataclass(frozen=True)
class Scene:
    """A trained network whose stored pass says something of six images, and their objects."""

    unit: Unit
    place: Workplace

    def changed(self, changes: Mapping[str, object]) -> Unit:
        """Return the unit with another detection."""
        run = self.unit.run.changed(changes)
        run, _ = check(run, where="test", data_root=None, device="cpu")
        return replace(self.unit, run=run, arm="changed")

    def evaluated(self, unit: Unit) -> Scores:
        """Return the scores of the files that the unit's detections go into."""
        predict_together([unit], self.place)
        dataset = self.place.datasets.open(unit.data, unit.split)
        return score_predictions(dataset, self.place.predictions(unit.run.detect_digest))

    def scorer(self, **bounds: float) -> TrialScorer:
        """Return a new scorer."""
        return TrialScorer(self.unit, self.place, min_score=0.01, **bounds)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One object of each image is a crowd; one candidate of each lies beside its image."""
    folder = tmp_path_factory.mktemp("scene")
    spec = VARIANTS.replace("val_images: 3", "val_images: 6")
    units = [step.unit for step in plan_spec(write_spec(folder, spec), context(folder)).steps]
    place = context(folder / "work").place
    ensure_trained(units[0], place)
    stored = keep_pass(units[0], place, min_score=0.01)
    dataset = place.datasets.open(units[0].data, "val")
    plant(stored.folder, dataset)
    truth = dataset.ground_truth()
    annotations = truth["annotations"]
    assert isinstance(annotations, list)
    seen: set[int] = set()
    crowded = [
        {**one, "iscrowd": int(one["image_id"] not in seen and not seen.add(one["image_id"]))}
        for one in annotations
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(dataset), "ground_truth", lambda _: {**truth, "annotations": crowded})
        yield Scene(units[0], place)


@pytest.fixture(scope="module")
def scorer(scene: Scene) -> TrialScorer:
    """One scorer for all variants: what one of them leaves in memory serves the next."""
    return scene.scorer()


@pytest.mark.parametrize("variant", CHANGES)
def test_a_trial_scores_what_evaluating_its_files_scores(
    scene: Scene, scorer: TrialScorer, variant: str
) -> None:
    """Every field: AP, AR, by size, by class, by IoU."""
    unit = scene.changed(CHANGES[variant])

    expected = scene.evaluated(unit)

    assert scorer.can_score(unit.run)
    assert scorer.score(unit.run) == expected
    assert scorer.score(unit.run) == expected  # when all is known
    assert expected.box.ap is not None
    assert expected.box.ap > 0.05
    assert expected.mask.ap != expected.box.ap


@pytest.mark.parametrize(
    "options",
    [
        {"max_dets": 2},
        {"max_dets": 300},
        {"classes": ["disc", "ring"]},
        {"areas": {"small": [0, 300], "medium": [200, 900], "large": [900, 9216]}},
    ],
)
def test_trials_are_scored_with_the_options_of_their_base(
    scene: Scene, options: dict[str, object]
) -> None:
    """Another limit of detections needs an NMS that keeps as many."""
    unit = scene.changed({"evaluation": options, "nms.max_detections": 300})
    scorer = TrialScorer(unit, scene.place, min_score=0.01)
    predict_together([unit], scene.place)
    dataset = scene.place.datasets.open(unit.data, unit.split)
    folder = scene.place.predictions(unit.run.detect_digest)
    expected = score_predictions(dataset, folder, evaluation=unit.evaluation)

    scores = scorer.score(unit.run)

    assert (scores.box, scores.mask) == (expected.box, expected.mask)
    plain = score_predictions(dataset, folder)
    assert (plain.box == expected.box) == (options == {"max_dets": 300})
    assert not scorer.can_score(scene.unit.run)  # whose options are COCO's


def test_listed_options_are_of_an_nms() -> None:
    assert NMS_OPTIONS.keys() <= components("nms").keys()


def test_the_variants_differ(scene: Scene, scorer: TrialScorer) -> None:
    """Otherwise equal scores would prove nothing. Some change no detection that counts here."""
    scores = {repr(scorer.score(scene.changed(change).run)) for change in CHANGES.values()}

    assert len(scores) > 0.7 * len(CHANGES)


@pytest.mark.parametrize("bounds", [{"candidate_bytes": 0.0}, {"known_bytes": 0.0}])
def test_little_memory_changes_no_score(
    scene: Scene, scorer: TrialScorer, bounds: Mapping[str, float]
) -> None:
    poor = scene.scorer(**bounds)

    for change in SOME.values():
        run = scene.changed(change).run
        assert poor.score(run) == scorer.score(run)


def test_masks_distinguished_by_their_bits_change_no_score(
    scene: Scene, scorer: TrialScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way of a GPU, and of an assembly that does not make masks row by row."""
    expected = {name: scorer.score(scene.changed(change).run) for name, change in SOME.items()}
    monkeypatch.setattr(LinearCombination, "row_by_row", False)
    by_bits = scene.scorer()

    for name, change in SOME.items():
        assert by_bits.score(scene.changed(change).run) == expected[name], name


def test_a_mask_is_encoded_for_the_first_trial_that_keeps_it_alone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[int] = []
    original = detect.run_lengths
    monkeypatch.setattr(
        detect, "run_lengths", lambda found: encoded.append(len(found)) or original(found)
    )
    scorer = scene.scorer()
    many, few = ({"nms": {"name": "fast", "max_detections": most}} for most in (100, 10))

    scorer.score(scene.changed(many).run)
    at_first = sum(encoded)
    scorer.score(scene.changed(few).run)

    assert at_first > 30
    assert sum(encoded) == at_first


def test_only_the_best_hundred_of_a_class_are_matched() -> None:
    """150 detections of class 1, the last 10 of them better than all others; 5 of class 0."""
    truth = truth_index(
        {
            "images": [{"id": 7, "height": 8, "width": 8}],
            "categories": [{"id": 3, "name": "a"}, {"id": 5, "name": "b"}],
            "annotations": [
                {"image_id": 7, "category_id": category, "bbox": [0, 0, 2, 2], "area": 4}
                | {"segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]]}
                for category in (5, 3, 5)
            ],
        }
    )
    objects = ImageObjects(truth, 7, {3: 0, 5: 1})
    label = np.array([0] * 5 + [1] * 150)
    score = np.array([0.5] * 145 + [0.9] * 10)
    numbers = np.arange(155.0)[:, None] + [0.0, 1000.0, 2000.0]

    chosen = dict(objects.by_class(label, score, numbers, 100))

    best = [*range(145, 155), *range(5, 95)]
    assert chosen.keys() == {0, 1}
    assert chosen[0][:, 0].tolist() == [1000.0 + row for row in range(5)]
    assert chosen[1].tolist() == [[row, 2000.0 + row] for row in best]


def test_one_bit_makes_another_mask() -> None:
    masks = torch.full((3, 4, 4), 0.25)
    masks[1, 2, 3] = float(np.nextafter(np.float32(0.25), np.float32(1.0)))

    first, other, again = detect.mask_fingerprints(masks)

    assert first == again
    assert first != other


def test_another_network_is_not_scored(scene: Scene, scorer: TrialScorer) -> None:
    other = scene.changed({"protonet.k": 4}).run

    assert not scorer.can_score(other)


def test_a_threshold_below_what_is_stored_is_not_scored(scene: Scene, scorer: TrialScorer) -> None:
    lower = scene.changed({"nms": {"name": "fast", "min_score": 0.005}}).run

    assert not scorer.can_score(lower)


def test_a_score_that_is_not_finite_fails_the_trial(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it fails the evaluation."""
    scorer = scene.scorer()
    run = scene.changed({"rescore": "mask_iou"}).run
    network = scorer._network
    with torch.no_grad():
        network.rescore_net.layers[0].weight.fill_(float("nan"))

    with pytest.raises(ArmError, match="a score is not finite") as caught:
        scorer.score(run)
    assert caught.value.kind == "non_finite_score"
