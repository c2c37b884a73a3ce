"""What a table says about a difference: how large, how sure, real or not."""

import csv
from pathlib import Path
from statistics import NormalDist

import pytest

from reports.pages.build import read
from reports.pages.markdown import markdown_table
from reports.summary.aggregate import Summary
from reports.tables.csv import csv_files
from reports.tables.differences import differences
from reports.tables.main import comparison
from tests.support import fake_work
from yolact_bench.results.contrasts import Contrast
from yolact_bench.results.record import Accuracy

PLAIN = ("fast", "sequential", "cross_class_fast")  # one checkpoint
# Standard error of a Δ whose replicates alternate by 0.1 points: 0.1 · √(1000 / 999).
SE = 0.1 * (1000 / 999) ** 0.5


def _work(tmp_path: Path, records: list[Accuracy], noise: float = 0.001) -> Path:
    """The baseline swings with the images alone, every other arm by `noise` beside."""
    seeds = tuple(dict.fromkeys(record.seed for record in records))
    plan = fake_work.manifest(seeds=seeds, measure=("accuracy",), expect=(), paper=None)
    work = fake_work.write_work(tmp_path, records, plan)
    for record in records:
        own = 0.0 if record.arm == "fast" else noise
        fake_work.write_resamples(work, record, noise=own)
    return work


def _summary(tmp_path: Path, records: list[Accuracy], noise: float = 0.001) -> Summary:
    return read(_work(tmp_path, records, noise), fake_work.NAME)


def _of(summary: Summary, arm: str, metric: str = "mask_ap") -> Contrast:
    contrast = summary.contrasts.of(arm, metric)
    assert contrast is not None
    return contrast


def _row(summary: Summary, arm: str) -> list[str]:
    lines = markdown_table(comparison(summary)).splitlines()
    line = next(line for line in lines if line.strip("|* ").startswith(arm))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_difference_carries_its_interval_and_its_mark(tmp_path: Path) -> None:
    """+0.25 ± 1.96 · 0.1; seed spread plays no part, as both arms use one checkpoint."""
    summary = _summary(tmp_path, [fake_work.accuracy(arm) for arm in PLAIN])
    found = _of(summary, "sequential")
    assert (found.value, found.image_se) == (pytest.approx(0.25), pytest.approx(SE))
    assert (found.low, found.high) == (
        pytest.approx(0.25 - 1.96 * SE, abs=1e-4),
        pytest.approx(0.25 + 1.96 * SE, abs=1e-4),
    )
    assert found.seed_se is None
    assert _row(summary, "sequential")[2] == "+0.25 [+0.05, +0.45] *"
    assert _row(summary, "fast")[2] == ""


def test_p_values_are_corrected_over_the_main_table(tmp_path: Path) -> None:
    """Four tests: −0.5 twice (z = 5), +0.25 (z = 2.5) and +0.20 (z = 2). Holm: 4p, 3p, 2p, p.

    Tests are 3 % wider than the normal's. Alone, +0.20 has p = 0.052; so has it here, as the last
    in the order.
    """
    summary = _summary(tmp_path, [fake_work.accuracy(arm) for arm in PLAIN])
    tail = NormalDist().cdf
    assert summary.contrasts.tests(headline=True) == 4
    assert _of(summary, "sequential").p_holm == pytest.approx(2 * 2 * tail(-0.25 / (1.03 * SE)))
    assert _of(summary, "sequential", "box_ap").p_holm == pytest.approx(
        2 * tail(-0.2 / (1.03 * SE))
    )
    assert "Holm's correction over 4 tests" in markdown_table(comparison(summary))


def test_what_is_not_shown_to_be_real_is_printed_as_such(tmp_path: Path) -> None:
    """Noise of 0.2 points: z = 1.25 and 1.0, so neither +0.25 nor +0.20 is real."""
    summary = _summary(tmp_path, [fake_work.accuracy(arm) for arm in PLAIN], noise=0.002)
    assert _row(summary, "sequential")[2] == "+0.25 [−0.14, +0.64] n.s."
    assert _row(summary, "sequential")[6].endswith("n.s.")
    assert {(1, 2), (1, 6)} <= comparison(summary).faint
    assert not _of(summary, "sequential").is_real


def test_more_metrics_do_not_change_the_verdict_on_the_main_ones(tmp_path: Path) -> None:
    """AP50, AP75 and small, box and mask, of two arms: 12 tests in a family of their own."""
    summary = _summary(tmp_path, [fake_work.accuracy(arm) for arm in PLAIN])
    assert summary.contrasts.tests(headline=False) == 12
    assert summary.contrasts.tests(headline=True) == 4


def test_other_trainings_of_one_seed_are_not_judged(tmp_path: Path) -> None:
    """+2.5 points with an image error of 0.1 would be certain, did seeds not vary."""
    summary = _summary(tmp_path, [fake_work.accuracy(arm) for arm in ("fast", "deformable")])
    found = _of(summary, "deformable")
    assert (found.testable, found.p_holm, found.is_real) == (False, None, False)
    assert _row(summary, "deformable")[2].endswith("1 seed")
    table = markdown_table(comparison(summary))
    assert "what another seed would change is unknown" in table
    assert "80 % probability" not in table  # nothing could be found, at any size


def test_seeds_and_images_are_told_apart(tmp_path: Path) -> None:
    """AP of 31, 33, 32 against 33.5, 35.5, 34.5: each mean has a variance of 1 / 3."""
    records = [
        fake_work.accuracy(arm, seed=seed, shift=shift)
        for arm in ("fast", "deformable")
        for seed, shift in enumerate((0.0, 0.02, 0.01))
    ]
    found = _of(_summary(tmp_path, records), "deformable")
    assert found.seed_se == pytest.approx((2 / 3) ** 0.5)
    assert found.image_se == pytest.approx(SE)
    assert found.testable
    assert found.pairs == 3


def test_an_interval_without_zero_is_not_enough_among_several_tests(tmp_path: Path) -> None:
    """2.5 / 0.82 = 3.06 with 4 degrees of freedom: p = 0.038 alone, twice that among two."""
    records = [
        fake_work.accuracy(arm, seed=seed, shift=shift)
        for arm in ("fast", "deformable")
        for seed, shift in enumerate((0.0, 0.02, 0.01))
    ]
    found = _of(_summary(tmp_path, records), "deformable")
    assert found.low > 0
    assert found.p < 0.05
    assert found.p_holm == pytest.approx(2 * found.p)
    assert found.verdict == "n.s."


def test_the_same_trainings_seed_by_seed_cancel_what_seeds_change(tmp_path: Path) -> None:
    """Seeds differ by two points, yet every checkpoint gains 0.25: no spread of the Δ."""
    records = [
        fake_work.accuracy(arm, seed=seed, shift=shift)
        for arm in ("fast", "sequential")
        for seed, shift in enumerate((0.0, 0.02, 0.01))
    ]
    found = _of(_summary(tmp_path, records), "sequential")
    assert found.seed_se == pytest.approx(0.0, abs=1e-9)
    assert found.is_real


def test_only_a_real_lead_is_bold(tmp_path: Path) -> None:
    """sequential leads in mask AP (z = 2.5); in box AP its lead is not real with more noise."""
    summary = _summary(tmp_path, [fake_work.accuracy(arm) for arm in PLAIN], noise=0.00115)
    assert summary.contrasts.leader("mask_ap") == "sequential"  # z = 2.17
    assert summary.contrasts.leader("box_ap") is None  # z = 1.74
    assert _row(summary, "sequential")[1] == "**31.2**"
    assert _row(summary, "sequential")[5] == "35.2"
    assert _row(summary, "fast")[0] == "*fast*"


def test_a_lead_over_the_second_is_none_if_a_third_may_be_as_good(tmp_path: Path) -> None:
    """31.25 and 31.0 swing alike; 30.5 swings by 0.5 more: −0.75 has z = 1.5."""
    records = [fake_work.accuracy(arm) for arm in PLAIN]
    work = _work(tmp_path, records, noise=0.0)
    assert read(work, fake_work.NAME).contrasts.leader("mask_ap") == "sequential"
    fake_work.write_resamples(work, records[2], noise=0.005)
    assert read(work, fake_work.NAME).contrasts.leader("mask_ap") is None


def test_bold_claims_no_more_than_what_was_tested(tmp_path: Path) -> None:
    """The third arm is not resampled, so nothing is known of the lead over it."""
    records = [fake_work.accuracy(arm) for arm in PLAIN]
    work = _work(tmp_path, records, noise=0.0)
    (work / "resamples" / f"{records[2].detect_digest}.npz").unlink()
    summary = read(work, fake_work.NAME)
    assert _row(summary, "sequential")[1] == "**31.2**"
    notes = markdown_table(comparison(summary))
    assert "significantly better than every other arm that can be tested (p" in notes


def test_nobody_leads_by_the_luck_of_one_seed(tmp_path: Path) -> None:
    """deformable is 2.25 points ahead of the second, but of another training."""
    records = [fake_work.accuracy(arm) for arm in (*PLAIN, "deformable")]
    summary = _summary(tmp_path, records)
    assert summary.contrasts.leader("mask_ap") is None
    assert "**" not in markdown_table(comparison(summary))


def test_a_run_without_resamples_is_named_with_the_command_that_makes_them(tmp_path: Path) -> None:
    records = [fake_work.accuracy(arm) for arm in PLAIN]
    work = _work(tmp_path, records)
    (work / "resamples" / "d-sequential-0.npz").unlink()
    summary = read(work, fake_work.NAME)
    assert _row(summary, "sequential")[2] == "+0.25 ¹"
    assert _row(summary, "cross_class_fast")[2].endswith("*")
    told = "Without interval: sequential (seed 0) is not resampled. To add it: yolact-bench run"
    assert told in markdown_table(comparison(summary))
    assert "without interval: the two arms have no resamples" in markdown_table(comparison(summary))


def test_other_resamples_are_not_paired(tmp_path: Path) -> None:
    records = [fake_work.accuracy(arm) for arm in PLAIN]
    work = _work(tmp_path, records)
    fake_work.write_resamples(work, records[1], sampling="others")
    summary = read(work, fake_work.NAME)
    assert summary.contrasts.of("sequential", "mask_ap") is None
    assert "sequential is resampled on other images than fast" in " ".join(
        comparison(summary).notes
    )


def test_a_resample_without_objects_is_left_out(tmp_path: Path) -> None:
    """No resample has a large object: nothing is said of them, the rest is."""
    summary = _summary(tmp_path, [fake_work.accuracy(arm) for arm in PLAIN])
    assert summary.contrasts.of("sequential", "mask_ap_large") is None
    assert summary.contrasts.of("sequential", "mask_ap_small") is not None


def test_the_table_of_differences_has_every_number(tmp_path: Path) -> None:
    summary = _summary(tmp_path, [fake_work.accuracy(arm) for arm in PLAIN])
    table = differences(summary)
    line = dict(zip(table.columns, table.rows[0], strict=True))
    assert (line["metric"], line["arm"], line["Δ"]) == ("mask AP", "sequential", "+0.25")
    assert (line["image s.e."], line["seed s.e."], line["verdict"]) == ("0.10", "–", "real")
    assert len(table.rows) == 2 * 8
    lines = list(csv.DictReader(csv_files(summary)["differences.csv"].splitlines()))
    assert float(lines[0]["delta"]) == pytest.approx(0.25)
    assert lines[0]["verdict"] == "real"
    assert lines[0]["resamples"] == "1000"
    arms = list(csv.DictReader(csv_files(summary)["table.csv"].splitlines()))
    assert float(arms[1]["mask_ap_delta_low"]) == pytest.approx(0.25 - 1.96 * SE, abs=1e-4)
    assert arms[1]["mask_ap_verdict"] == "real"


def test_a_wide_interval_is_printed_without_a_second_decimal(tmp_path: Path) -> None:
    """Noise of 1 point: intervals of ± 1.96, where hundredths say nothing."""
    summary = _summary(tmp_path, [fake_work.accuracy(arm) for arm in PLAIN], noise=0.01)
    assert _row(summary, "cross_class_fast")[2] == "−0.5 [−2.5, +1.5] n.s."


def test_without_any_resamples_a_small_difference_is_said_to_be_no_news(tmp_path: Path) -> None:
    work = fake_work.write_work(tmp_path, [fake_work.accuracy(arm) for arm in PLAIN])
    notes = " ".join(comparison(read(work, fake_work.NAME)).notes)
    assert "One seed: the spread between trainings is unknown" in notes
    assert "Without interval: no run is resampled. To add it: yolact-bench run" in notes
    assert "Holm" not in notes
