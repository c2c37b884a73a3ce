import pytest

from yolact_bench import text


def test_an_undefined_ap_is_a_dash_and_a_zero_is_a_number() -> None:
    assert text.ap_points(None) == "–"
    assert text.ap_points(0.0) == "0.0"
    assert text.ap_points(0.3512) == "35.1"


def test_metrics_named_ap_or_ar_are_in_points_and_others_as_they_are() -> None:
    assert text.metric_value("mask_ap50", 0.5) == "50.00"
    assert text.metric_value("box_ar_100", 0.25) == "25.00"
    assert text.metric_value("latency_ms", 31.25) == "31.25"
    assert text.metric_value("latency_ms", None) == "–"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (119, "119 s"),
        (120, "2.0 min"),
        (2 * 3600, "2.0 h"),
        (47 * 3600, "47.0 h"),
        (48 * 3600, "2.0 days"),
    ],
)
def test_a_duration_changes_its_unit_before_the_number_is_large(seconds: float, words: str) -> None:
    assert text.duration(seconds) == words


def test_pages_have_no_days() -> None:
    assert text.duration(212 * 3600, days=False) == "212.0 h"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(59.4, "59 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (3599.6, "1 h 00 min")],
)
def test_elapsed_time_is_rounded_before_it_is_split(seconds: float, words: str) -> None:
    assert text.time_span(seconds) == words


def test_sizes_are_decimal() -> None:
    assert text.size(2_500_000) == "2.5 MB"
    assert text.size(1_000_000_000) == "1.0 GB"


def test_a_difference_has_a_true_minus_and_zero_has_no_sign() -> None:
    assert text.difference_text(-1.25, -2.3, 0.001) == "−1.25 [−2.30, 0.00]"
    assert text.difference_text(1.3, 0.3, 2.3, 1) == "+1.3 [+0.3, +2.3]"


def test_a_number_without_interval_stands_alone() -> None:
    assert text.with_interval(31.2, (31.1, 31.32)) == "31.20 [31.10, 31.32]"
    assert text.with_interval(31.2, None) == "31.20"


def test_words_begin_at_the_left_and_numbers_end_at_the_right() -> None:
    rows = [("arm", "ms", ""), ("base", "1.5", "slow"), ("b", "10.5", "")]
    assert text.align(rows, left=(0, 2)) == [
        "  arm     ms",
        "  base   1.5  slow",
        "  b     10.5",
    ]


def test_a_table_without_numbers_is_all_words_and_one_without_rows_is_empty() -> None:
    assert text.align([("a", "bb"), ("ccc", "d")], indent=0) == ["a    bb", "ccc  d"]
    assert text.align([]) == []


def test_markdown_pipes_stand_under_each_other() -> None:
    rows = [("arm", "ms"), ("---", "-:"), ("a", "1")]
    assert text.align(rows, left=(0,), pipes=True) == [
        "| arm | ms |",
        "| --- | -: |",
        "| a   |  1 |",
    ]
