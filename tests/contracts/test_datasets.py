"""What every data set does, whatever it is made of."""

from pathlib import Path

import numpy as np
import pytest

from runners.evaluation.coco.score import SCORING
from runners.workdir.dataset_files import write_shapes
from yolact_bench.contracts import documents_its_source
from yolact_bench.data import DATASETS, Dataset, open_dataset
from yolact_bench.dataset_spec.dataset import DATASET_SPECS, DatasetSpec, resolve_dataset
from yolact_bench.errors import SpecError

coco = pytest.importorskip("pycocotools.coco")

SHAPES = {"train_images": 6, "val_images": 4, "size": 128}


@pytest.fixture(scope="module", params=sorted(DATASETS))
def spec(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DatasetSpec:
    if request.param == "shapes":
        return resolve_dataset({"name": "shapes", **SHAPES}, data_root=None)
    path: Path = write_shapes(tmp_path_factory.mktemp("set") / "shapes", SHAPES)
    return resolve_dataset({"name": "coco_format", "file": str(path)}, data_root=None)


@pytest.fixture(scope="module", params=["train", "val"])
def dataset(spec: DatasetSpec, request: pytest.FixtureRequest) -> Dataset:
    return open_dataset(spec, request.param)


def test_every_named_set_is_of_a_kind_that_can_be_opened(tmp_path: Path) -> None:
    path = write_shapes(tmp_path / "shapes", SHAPES)
    options = {"coco_format": {"file": str(path)}}
    for name in DATASET_SPECS:
        choice = {"name": name, **options.get(name, {})}
        assert resolve_dataset(choice, data_root=tmp_path).kind in DATASETS


@pytest.mark.parametrize("name", sorted(DATASET_SPECS))
def test_a_data_set_states_its_source_and_how_it_differs(name: str) -> None:
    documents_its_source(DATASET_SPECS[name])


@pytest.mark.parametrize("name", sorted(SCORING))
def test_an_engine_states_its_source_and_how_it_differs(name: str) -> None:
    documents_its_source(SCORING[name].evaluate)


def test_images_are_rgb_bytes_of_the_size_that_the_objects_state(dataset: Dataset) -> None:
    for index in range(len(dataset)):
        image, objects = dataset.image(index), dataset.objects(index)
        assert image.dtype == np.uint8
        assert image.shape == (objects.height, objects.width, 3)


def test_labels_are_contiguous_and_boxes_have_an_area(dataset: Dataset) -> None:
    assert len(dataset.classes) == len(dataset.category_ids) == len(set(dataset.category_ids))
    for index in range(len(dataset)):
        objects = dataset.objects(index)
        assert ((objects.labels >= 0) & (objects.labels < len(dataset.classes))).all()
        assert (objects.boxes_px[:, 2:] > objects.boxes_px[:, :2]).all()
        assert len(objects) == len(objects.segments) == len(objects.is_crowd)


def test_image_ids_differ(dataset: Dataset) -> None:
    ids = [dataset.image_id(index) for index in range(len(dataset))]
    assert len(set(ids)) == len(ids)


def test_reading_twice_gives_the_same(dataset: Dataset) -> None:
    assert np.array_equal(dataset.image(1), dataset.image(1))
    assert np.array_equal(dataset.objects(1).boxes_px, dataset.objects(1).boxes_px)


def test_pycocotools_finds_the_same_objects_in_the_ground_truth(dataset: Dataset) -> None:
    truth = coco.COCO()
    truth.dataset = dataset.ground_truth()
    truth.createIndex()
    assert sorted(truth.getImgIds()) == sorted(dataset.image_id(i) for i in range(len(dataset)))
    names = {one["id"]: one["name"] for one in truth.dataset["categories"]}
    assert tuple(names[number] for number in dataset.category_ids) == dataset.classes
    for index in range(len(dataset)):
        objects = dataset.objects(index)
        found = truth.loadAnns(truth.getAnnIds(imgIds=[dataset.image_id(index)]))
        assert [one["category_id"] for one in found] == [
            dataset.category_ids[label] for label in objects.labels
        ]
        for one, box in zip(found, objects.boxes_px, strict=True):
            x, y, width, height = one["bbox"]
            assert [x, y, x + width, y + height] == box.tolist()
            assert truth.annToMask(one).sum() == pytest.approx(one["area"])


def test_fingerprints_of_splits_differ_and_an_unknown_split_is_refused(spec: DatasetSpec) -> None:
    assert spec.fingerprint("train") != spec.fingerprint("val")
    with pytest.raises(SpecError, match=r"no split 'vall' \(did you mean 'val'\?\)"):
        open_dataset(spec, "vall")
