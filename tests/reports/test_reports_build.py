"""A finished ablation, told number by number."""

import csv
import html.parser
import io
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from reports.pages.build import build, check_report, read
from reports.pages.markdown import markdown_report
from reports.summary.curves import read_curve
from tests.support import fake_work
from tests.support.built_reports import build_text, main_table, page
from yolact_bench.errors import SpecError

FIGURES = {"ap_against_ms", "ap_by_iou", "differences", "errors", "losses", "stages"}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    records = [*fake_work.finished_records(), fake_work.errors("fast")]
    work = fake_work.write_work(tmp_path_factory.mktemp("work"), records)
    for arm in ("fast", "sequential", "cross_class_fast", "deformable"):
        noise = 0.0 if arm == "fast" else 0.001
        fake_work.write_resamples(work, fake_work.accuracy(arm), noise=noise)
    build(work, fake_work.NAME)
    return work


def _cells(markdown: str, arm: str) -> list[str]:
    """The first table row of that arm."""
    line = next(line for line in markdown.splitlines() if re.match(rf"\| \**{arm}\**\W", line))
    return [cell.strip() for cell in line.strip("|").split("|")]


def _text(work: Path, name: str) -> str:
    return (work / "reports" / fake_work.NAME / name).read_text()


def test_the_main_table_has_every_number_in_its_place(work: Path) -> None:
    """AP50 = AP + 20 and AP75 = AP + 2 points; an interval is Δ ± 1.96 · 0.1."""
    table = _text(work, "report.md")
    assert _cells(table, "fast")[:8] == ["*fast*", "31.0", "", "51.0", "33.0", "35.0", "", "3.14"]
    deformable = _cells(table, "deformable")
    assert deformable[:8] == [
        "deformable",
        "33.5",
        "+2.50 [+2.30, +2.70] 1 seed",
        "53.5",
        "35.5",
        "36.0",
        "+1.00 [+0.80, +1.20] 1 seed",
        "3.25",
    ]
    assert deformable[9] == "1.500 [1.500, 1.500]"  # 60 / 40 in every round
    assert _cells(table, "cross_class_fast")[2] == "−0.50 [−0.70, −0.30] *"
    assert _cells(table, "cross_class_fast")[9] == "0.950 [0.950, 0.950]"  # 38 / 40
    assert "| ms (CPU), end_to_end |" in table


def test_fps_is_a_thousand_over_the_median(work: Path) -> None:
    line = next(csv.DictReader(io.StringIO(_text(work, "table.csv"))))
    assert float(line["fps"]) == 1000 / float(line["latency_median_ms"])


def test_a_failed_arm_is_a_dash_with_its_reason(work: Path) -> None:
    markdown = _text(work, "report.md")
    assert _cells(markdown, "broken")[1] == "— ¹"
    assert "¹ evaluate failed (error): sigma must be above 0" in markdown
    assert "- failed: broken, evaluate (error): sigma must be above 0" in markdown


def test_the_footer_says_what_delta_means_and_that_one_seed_has_no_spread(work: Path) -> None:
    markdown = _text(work, "report.md")
    assert "Δ: difference in points to fast." in markdown
    assert "1 seed: different trainings of one seed each." in markdown
    assert "CPU times say nothing about a GPU" in markdown


def test_arms_that_share_a_training_share_a_row_and_a_curve(work: Path) -> None:
    summary = read(work, fake_work.NAME)
    shared = "fast, sequential, cross_class_fast, broken"
    assert [row.label for row in summary.trainings] == [shared, "deformable"]
    assert [curve.label for curve in summary.curves] == [shared, "deformable"]
    assert list(summary.curves[0].losses) == ["total", "box", "class", "mask", "semantic"]
    assert summary.curves[1].validation["mask_ap"][0] == (200, pytest.approx(0.1 + 0.2 / 3 + 0.02))


def test_the_csv_has_one_line_per_arm_in_full_precision(work: Path) -> None:
    lines = list(csv.DictReader(io.StringIO(_text(work, "table.csv"))))
    assert [line["arm"] for line in lines] == list(fake_work.ARMS)
    sequential = lines[1]
    assert float(sequential["mask_ap"]) == 100 * 0.3125
    assert float(sequential["mask_ap_delta"]) == pytest.approx(0.25)
    assert float(sequential["mask_ap_iou_0.50"]) == pytest.approx(51.25)
    assert sequential["changes"] == "nms: sequential"
    assert sequential["mask_ap_large"] == ""  # undefined, not zero
    assert lines[4]["mask_ap"] == ""
    assert "sigma" in lines[4]["missing"]


def test_recalled_paper_rows_carry_a_mark_and_a_footnote(work: Path) -> None:
    markdown = _text(work, "report.md")
    assert "| Mask R-CNN fast † " in markdown
    assert "† quoted from memory, not verified" in markdown


def test_the_page_is_self_contained_and_escapes_what_users_wrote(work: Path) -> None:
    page = _text(work, "report.html")
    assert "cost &amp; bring?" in page
    assert page.count("<svg") == len(FIGURES)
    assert not re.search(r'(src|href)="(http|//|/|figures)', page.replace("http://www.w3.org", ""))
    html.parser.HTMLParser().feed(page)
    hostile = fake_work.manifest(question="<script>alert(1)</script>", name="hostile")
    fake_work.save(hostile, work / "reports" / "hostile")
    build_text(work, "hostile")
    page = (work / "reports" / "hostile" / "report.html").read_text()
    assert "<script>alert" not in page
    assert "\\<script" not in page


def test_latex_escapes_names_and_emphasises_the_baseline(work: Path) -> None:
    tex = _text(work, "report.tex")
    assert r"cross\_class\_fast & 30.5 & $-$0.50 {[}$-$0.70, $-$0.30{]} *" in tex
    assert r"\textit{fast}" in tex
    assert tex.count(r"\begin{table}") == tex.count(r"\end{table}") == 5


def test_every_figure_is_there_as_svg_and_png(work: Path) -> None:
    folder = work / "reports" / fake_work.NAME / "figures"
    assert {file.stem for file in folder.iterdir()} == FIGURES
    for stem in FIGURES:
        assert (folder / f"{stem}.png").read_bytes().startswith(b"\x89PNG")
        assert b"<dc:date>" not in (folder / f"{stem}.svg").read_bytes()


def test_the_same_records_give_the_same_bytes(work: Path) -> None:
    folder = work / "reports" / fake_work.NAME
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    build(work, fake_work.NAME)
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


def test_the_check_tells_what_no_longer_agrees(tmp_path: Path) -> None:
    work = fake_work.write_work(tmp_path)
    assert "report.md: missing" in check_report(work, fake_work.NAME)
    build(work, fake_work.NAME)
    assert check_report(work, fake_work.NAME) == ()
    page = tmp_path / "reports" / fake_work.NAME / "report.md"
    page.write_text(page.read_text().replace("31.0", "39.0"))
    (page.parent / "figures" / "losses.svg").unlink()
    differences = check_report(work, fake_work.NAME)
    assert "39.0" in differences[0]
    assert differences[1] == "figures/losses.svg: missing"


def test_an_unmet_expectation_is_told(tmp_path: Path) -> None:
    texts = (
        "mask_ap[deformable] >= mask_ap[fast] + 2.6",  # 33.5 against 33.6
        "mask_ap[broken] > 1",
        "latency_ms[deformable] > 59",
    )
    work = fake_work.write_work(tmp_path, plan=fake_work.manifest(expect=texts))
    report = build_text(work, fake_work.NAME)
    assert [outcome.met for outcome in report.summary.outcomes] == [False, None, True]
    assert not all(outcome.met for outcome in report.summary.outcomes)
    assert "NOT MET `mask_ap[deformable]" in page(report)


def test_seeds_give_mean_spread_and_a_difference_of_means(tmp_path: Path) -> None:
    """fast: 31 and 33, deformable: 33.5. Mean 32 ± √2; Δ = 33.5 − 32, with resamples or not."""
    plan = fake_work.manifest(seeds=(0, 1), measure=("accuracy",), expect=())
    records = [
        fake_work.accuracy("fast"),
        fake_work.accuracy("fast", seed=1, shift=0.02),
        fake_work.accuracy("deformable"),
    ]
    work = fake_work.write_work(tmp_path, records, plan)
    summary = read(work, fake_work.NAME)
    fast, deformable = summary.rows[0].metrics["mask_ap"], summary.rows[3].metrics["mask_ap"]
    assert fast is not None
    assert deformable is not None
    assert (fast.mean, fast.spread) == (pytest.approx(32.0), pytest.approx(2**0.5))
    assert (deformable.mean, deformable.spread) == (pytest.approx(33.5), None)
    delta = summary.contrasts.delta("deformable", "mask_ap")
    assert delta == pytest.approx(1.5)
    markdown = markdown_report(summary, [])
    assert "32.0 ± 1.4" in markdown
    assert "seed 1: not run yet" in markdown
    assert "fps" not in markdown.split("## Published")[0]  # latency was not asked for
    for record in records:
        fake_work.write_resamples(work, record)
    contrast = read(work, fake_work.NAME).contrasts.of("deformable", "mask_ap")
    assert contrast is not None and contrast.value == delta


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"commit": "badcafe"}, "different commits of the source: c0ffee1, badcafe"),
        ({"dirty": True}, "uncommitted changes"),
        ({"device": "Other"}, "different devices: Example (CPU), Other"),
        ({"versions": {"torch": "2.12.0"}}, "different versions of torch: 2.11.0, 2.12.0"),
    ],
)
def test_what_was_not_meant_to_differ_is_a_warning(
    tmp_path: Path, changes: dict[str, object], sentence: str
) -> None:
    other = fake_work.environment(**changes)
    records = [fake_work.accuracy("fast"), fake_work.accuracy("deformable", environment=other)]
    summary = read(fake_work.write_work(tmp_path, records), fake_work.NAME)
    assert any(sentence in warning for warning in summary.warnings)
    assert summary.rows[3].timing is None


def test_a_missing_baseline_leaves_no_delta_and_says_so(tmp_path: Path) -> None:
    work = fake_work.write_work(tmp_path, [fake_work.accuracy("deformable")])
    report = build_text(work, fake_work.NAME)
    assert _cells(main_table(report), "deformable")[2] == ""
    assert "The baseline fast has no accuracy, so there is no Δ." in page(report)


def test_a_shortened_schedule_is_marked(tmp_path: Path) -> None:
    work = fake_work.write_work(tmp_path, [fake_work.accuracy("fast", proxy=True)])
    table = main_table(build_text(work, fake_work.NAME))
    assert "*fast ¹*" in table
    assert "¹ proxy: a shortened schedule" in table


def test_nothing_run_yet_is_a_report_of_dashes(tmp_path: Path) -> None:
    work = fake_work.write_work(tmp_path, [])
    report = build_text(work, fake_work.NAME)
    assert _cells(main_table(report), "fast")[1] == "— ¹"
    assert "¹ not run yet" in main_table(report)


def test_an_unknown_ablation_names_those_that_exist(work: Path) -> None:
    with pytest.raises(SpecError, match=r"no ablation or sweep named 'quik' .did you mean 'quick'"):
        build(work, "quik")


def test_a_resumed_training_continues_its_curve(tmp_path: Path) -> None:
    """Iteration 20 is logged twice: the second time counts. A kill tore two lines."""
    file = tmp_path / "log.jsonl"
    lines = [
        {"iteration": 10, "total": 4.0, "losses": {"box": 3.0}},
        {"iteration": 20, "total": 9.0, "losses": {"box": 9.0}},
        {"iteration": 20, "total": 2.0, "losses": {"box": 1.5}},
        {"iteration": 30, "total": float("nan"), "losses": {}},
    ]
    whole = "".join(json.dumps(line) + "\n" for line in lines)
    file.write_text(whole.replace("\n", '\n{"iterat\n', 1) + '{"iterat')
    curve = read_curve(file, label="a")
    assert curve is not None
    assert curve.losses == {"total": ((10, 4.0), (20, 2.0)), "box": ((10, 3.0), (20, 1.5))}


def test_machine_paths_stay_out_of_the_page(work: Path) -> None:
    for name in ("report.md", "report.tex", "table.csv", "report.html"):
        assert os.fspath(work) not in _text(work, name)


def test_a_later_accuracy_replaces_an_earlier_failure(tmp_path: Path) -> None:
    records = [*fake_work.finished_records(), replace(fake_work.accuracy("broken"), parameters=5)]
    summary = read(fake_work.write_work(tmp_path, records), fake_work.NAME)
    assert summary.failures == ()
    assert summary.rows[4].parameters == 5
    assert summary.rows[4].missing == ()
