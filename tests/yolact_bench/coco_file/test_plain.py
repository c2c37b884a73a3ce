"""Reading many annotations at once gives what reading them one by one gives."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolact_bench.coco_file.columns import ShapePool
from yolact_bench.coco_file.doubts import compare_with_masks
from yolact_bench.coco_file.images import ImageEntry
from yolact_bench.coco_file.labels import Labels
from yolact_bench.coco_file.objects import ObjectReader
from yolact_bench.coco_file.plain import PlainEntries, read_plain
from yolact_bench.errors import Mistakes, SpecError
from yolact_bench.findings import Finding, Findings

mask = pytest.importorskip("pycocotools.mask")

IMAGES = (ImageEntry(7, "7.png", 40, 60), ImageEntry(8, "8.png", 30, 20))
LABELS = Labels(category_ids=(3, 5), of_category={3: 0, 5: 1, 6: 1}, others=frozenset({9}))
CORNERS = [4.0, 5.0, 20.25, 5.0, 20.25, 17.5, 4.0, 17.5]
RUNS = {"size": [40, 60], "counts": [100, 20, 2280]}
TEXT = mask.frPyObjects(RUNS, 40, 60)["counts"].decode()


def entry(**changes: object) -> dict[str, Any]:
    """A clean annotation, with other values."""
    box = [4.0, 5.0, 16.25, 12.5]
    of_mask = {"segmentation": [list(CORNERS)], "bbox": box, "area": 203.125, "iscrowd": 0}
    return {"id": 1, "image_id": 7, "category_id": 3, **of_mask, **changes}


def read(
    entries: Sequence[Any], *, at_once: bool, as_text: bool = False
) -> tuple[dict[str, object], tuple[Finding, ...], str]:
    """Return everything that is known after reading: columns with shapes, findings, mistakes."""
    pool, mistakes, findings = ShapePool(), Mistakes("f"), Findings()
    given = [msgspec.Raw(json.dumps(one).encode()) for one in entries] if as_text else entries
    plain = read_plain(given if at_once else [], IMAGES, pool)
    if not at_once:
        plain = PlainEntries(plain.columns, list(range(len(entries))))
    reader = ObjectReader(IMAGES, LABELS, pool, mistakes, findings)
    reader.read(entries, plain)
    compare_with_masks(reader.columns, IMAGES, mistakes, findings)
    shapes, columns = pool.shapes().of(reader.columns)
    known = columns._asdict()
    known["mask_areas"] = known["mask_areas"].round(6)
    masks = [
        [shapes.coordinates[shapes.ends[p] : shapes.ends[p + 1]].tolist() for p in range(*polygons)]
        or shapes.lengths[slice(*runs)].tolist()
        for polygons, runs in zip(known.pop("polygons"), known.pop("runs"), strict=True)
    ]
    columns_read = {name: np.asarray(column).tolist() for name, column in known.items()}
    return repr({**columns_read, "masks": masks}), findings.all(), _text(mistakes)


def _text(mistakes: Mistakes) -> str:
    try:
        mistakes.raise_any()
    except SpecError as error:
        return str(error)
    return ""


def is_plain(**changes: object) -> bool:
    return not read_plain([entry(**changes)], IMAGES, ShapePool()).others


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"category_id": 77},  # whether it is known is asked later
        {"iscrowd": 1},
        {"ignore": 1},
        {"bbox": [4, 5, 16, 12]},
        {"segmentation": [CORNERS, [30, 20, 40, 20, 40, 30]]},
        {"segmentation": RUNS},
        {"segmentation": {**RUNS, "counts": TEXT}},
        {"segmentation": [[-10, -10, 30, -10, 30, 30]]},
        {"attributes": {"occluded": True}},
    ],
)
def test_clean_annotations_are_read_at_once(changes: dict[str, object]) -> None:
    """Otherwise a comparison with reading one by one would compare nothing."""
    assert is_plain(**changes)


DIRTY: dict[str, list[object]] = {
    "id": ["1", 1.0, None, 2**70],
    "image_id": [99, "7", 7.0, None],
    "category_id": [9, 77, "3", None],
    "bbox": [
        None, [], [1, 2, 3], [4, 5, 0, 3], [4, 5, 0.001, 3], [70, 5, 3, 3], ["4", 5, 16, 12],
        [4, 5, float("nan"), 12], [4, 5, 1e300, 12], [4, 5, True, 12], [20.5, 20, 5, 5],
        [-9, -9, 9, 12], [4, 5, 2, 2],
    ],
    "segmentation": [
        None, [], [[]], CORNERS, [[1, 1, 2, 2]], [[1, 1, 2, 2], CORNERS], [[1, 1, 2, 2, 3, 3]],
        [CORNERS[:-1]], [[*CORNERS[:-1], "17.5"]], [[*CORNERS[:-1], 1e6]],
        [[*CORNERS[:-1], float("nan")]], [[*CORNERS[:-1], True]], [[[4, 5], [20, 5], [20, 17]]],
        [[70, 5, 90, 5, 90, 17]], [[60, 5, 90, 5, 90, 17]], [RUNS], {**RUNS, "size": [60, 40]},
        {**RUNS, "counts": [100, 20, 2281]}, {**RUNS, "counts": [2400]},
        {**RUNS, "counts": [100, -20, 2320]}, {**RUNS, "counts": [100, 20.0, 2280]},
        {**RUNS, "counts": [2**40, 20, 2280]}, {**RUNS, "counts": "T3d0[W2"},
        {**RUNS, "counts": TEXT[:-1]}, {**RUNS, "counts": TEXT + "0"},
        {**RUNS, "counts": ""}, {**RUNS, "counts": []}, {**RUNS, "counts": "~"}, {"counts": [2400]},
    ],
    "area": [None, 0, -5, "203", float("nan"), float("inf"), 1e5, 2**80, True],
    "iscrowd": [None, "0", "1", True, 2, 1.0, 0.5, -1],
    "ignore": [None, True, "yes", 2, 0.0],
}  # fmt: skip


def _entries() -> st.SearchStrategy[dict[str, Any]]:
    dirty = st.one_of(
        st.fixed_dictionaries({key: st.sampled_from(values)}) for key, values in DIRTY.items()
    )
    clean = st.sampled_from(
        [
            {},
            {"iscrowd": 1},
            {"segmentation": RUNS, "bbox": [2, 0, 2, 40]},
            {"image_id": 8},
            {"segmentation": {**RUNS, "counts": TEXT}, "bbox": [2, 20, 1, 20]},
        ]
    )
    lacking = st.sampled_from(sorted(DIRTY))
    number = st.integers(1, 40)
    return st.one_of(
        st.builds(lambda one, id: {**entry(id=id), **one}, st.one_of(clean, dirty), number),
        st.builds(lambda one, two: {**entry(), **one, **two}, dirty, dirty),
        st.builds(lambda key: {k: v for k, v in entry().items() if k != key}, lacking),
        st.sampled_from([None, 3, "annotation", [], {}]),
    )


@settings(max_examples=20, deadline=None)
@given(st.lists(_entries(), max_size=8))
def test_both_ways_of_reading_agree(entries: list[Any]) -> None:
    agree(entries)


@pytest.mark.slow
@settings(max_examples=1500, deadline=None)
@given(st.lists(_entries(), max_size=12))
def test_both_ways_of_reading_agree_on_many_lists(entries: list[Any]) -> None:
    agree(entries)


def agree(entries: list[Any]) -> None:
    one_by_one = read(entries, at_once=False)
    assert read(entries, at_once=True) == one_by_one
    if not any(word in json.dumps(entries) for word in ("NaN", "Infinity")):
        assert read(entries, at_once=True, as_text=True) == one_by_one


@pytest.mark.parametrize(("key", "value"), [(k, v) for k in DIRTY for v in DIRTY[k]])
def test_both_ways_agree_on_every_dirty_value(key: str, value: object) -> None:
    entries = [entry(id=5), entry(**{"id": 2, key: value}), entry(id=3, image_id=8)]
    assert read(entries, at_once=True) == read(entries, at_once=False)


def test_of_two_annotations_of_one_id_the_first_keeps_it_though_the_second_is_the_clean_one() -> (
    None
):
    entries = [entry(id="4"), entry(id=4, bbox=[4, 5, 16, 12])]
    result = read(entries, at_once=True)
    assert result == read(entries, at_once=False)
    assert "'ids': [4, 5]" in result[0]
