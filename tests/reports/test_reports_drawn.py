"""What the figures draw: the numbers of the records, in the unit of their axes."""

from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from matplotlib.figure import Figure

from reports.figures.accuracy import ap_against_ms, ap_by_iou
from reports.figures.bars import stages
from reports.figures.forest import differences
from reports.figures.losses import losses
from reports.pages.build import read
from reports.summary.aggregate import Summary
from tests.support import fake_work
from yolact_bench.results.record import Record

FAST, SEQUENTIAL = fake_work.accuracy("fast"), fake_work.accuracy("sequential")
TIMED = fake_work.latency("fast"), fake_work.latency("sequential")


def drawn(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


def summary(folder: Path, *records: Record) -> Summary:
    return read(fake_work.write_work(folder, list(records)), fake_work.NAME)


def test_points_stand_at_their_milliseconds_and_their_ap(tmp_path: Path) -> None:
    """Mask AP 0.31 and 0.3125, in points; the median of the rounds."""
    axes = drawn(ap_against_ms(summary(tmp_path, FAST, SEQUENTIAL, *TIMED))).axes[0]
    places = [tuple(one.get_offsets()[0]) for one in axes.collections if len(one.get_offsets())]
    ms = [median(one.samples_ms) for one in TIMED]
    assert np.array(places) == pytest.approx(np.array([(ms[0], 31.0), (ms[1], 31.25)]))


def test_without_a_session_there_is_no_figure_of_times(tmp_path: Path) -> None:
    untimed = summary(tmp_path, FAST, SEQUENTIAL)
    assert ap_against_ms(untimed) is None
    assert stages(untimed) is None


def test_curves_over_iou_are_in_points_and_beside_them_to_the_baseline(tmp_path: Path) -> None:
    """0.51, 0.46, … of fast, the baseline; each 0.0025 more of sequential."""
    by_iou, beside = drawn(ap_by_iou(summary(tmp_path, FAST, SEQUENTIAL))).axes
    fast = [51.0 - 5 * step for step in range(10)]
    assert by_iou.lines[0].get_ydata() == pytest.approx(fast)
    assert by_iou.lines[1].get_ydata() == pytest.approx([ap + 0.25 for ap in fast])
    assert [list(line.get_ydata()) for line in beside.lines] == [
        pytest.approx([0.0] * 10, abs=1e-9),
        pytest.approx([0.25] * 10),
    ]


def test_bars_are_as_long_as_their_stages_one_behind_the_other(tmp_path: Path) -> None:
    """The medians 24 and 4."""
    timing = replace(TIMED[0], stages_ms={"backbone": (23.0, 24.0, 28.0), "nms": (4.0,)})
    axes = drawn(stages(summary(tmp_path, FAST, timing))).axes[0]
    assert [(bar.get_x(), bar.get_width()) for bar in axes.patches] == [(0.0, 24.0), (24.0, 4.0)]


def test_a_difference_is_drawn_with_its_interval(tmp_path: Path) -> None:
    """+0.25; replicates that alternate by 0.1 points have a standard error of 0.1."""
    work = fake_work.write_work(tmp_path, [FAST, SEQUENTIAL])
    for record, noise in ((FAST, 0.0), (SEQUENTIAL, 0.001)):
        fake_work.write_resamples(work, record, noise=noise)
    interval, value = drawn(differences(read(work, fake_work.NAME))).axes[0].lines[:2]
    low, high = 0.25 - 1.96 * 0.1, 0.25 + 1.96 * 0.1
    assert list(interval.get_xdata()) == pytest.approx([low, high], abs=1e-3)
    assert list(value.get_xdata()) == [pytest.approx(31.25 - 31.0)]


def test_a_validation_is_in_points_above_its_iteration(tmp_path: Path) -> None:
    """The first log of `fake_work` has 0.1 + i / 3000 after 200, 400 and 600 iterations."""
    panels = drawn(losses(summary(tmp_path, FAST))).axes
    line, _ = next(one for one in panels if one.get_title().startswith("val")).lines
    assert list(line.get_xdata()) == [200, 400, 600]
    assert list(line.get_ydata()) == pytest.approx([10 + i / 30 for i in (200, 400, 600)])
