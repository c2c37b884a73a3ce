"""A metric has one name in specs, records, tables and sweeps."""

from dataclasses import fields

from tests.support import fake_work
from yolact_bench.results.metrics import RESAMPLED, fraction, title
from yolact_bench.results.record import ApSummary
from yolact_bench.spec.accuracies import ACCURACIES, COCO_METRICS
from yolact_bench.spec.sweep.keys import OBJECTIVES


def test_metrics_are_the_fields_of_a_record_and_objectives_of_sweeps() -> None:
    names = tuple(field.name for field in fields(ApSummary) if "_by_" not in field.name)
    assert names == COCO_METRICS
    assert set(RESAMPLED) < set(ACCURACIES) < set(OBJECTIVES)


def test_a_metric_is_of_masks_or_of_boxes() -> None:
    record = fake_work.accuracy("fast")
    assert fraction(record, "mask_ar_10") == record.mask.ar_10
    assert fraction(record, "box_ap50") == record.box.ap50


def test_titles_are_written_as_coco_writes_them() -> None:
    assert [title(name) for name in ("mask_ap50", "box_ap_small", "mask_ar_100")] == [
        "mask AP50",
        "box AP small",
        "mask AR100",
    ]
