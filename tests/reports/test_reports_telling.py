"""What stands beside the numbers: published ones, errors, proxies, other programs, origins."""

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest

from reports.figures.bars import errors as errors_figure
from reports.pages import sections
from reports.pages.build import read
from reports.pages.html import html_report
from reports.pages.latex import latex_report
from reports.pages.markdown import markdown_report
from reports.pages.terminal import render
from reports.summary.aggregate import Summary
from reports.tables import paper as paper_table
from reports.tables.csv import csv_files
from reports.tables.errors import ORACLES, TYPES, error_table, oracle_table
from reports.tables.main import comparison
from reports.tables.origins import command, origins
from reports.tables.table import Table
from runners.arms.oracles.ladder import ORACLES as ANALYSED
from runners.evaluation.error_types import ERROR_TYPES, OPPOSITES
from tests.support import fake_work
from yolact_bench.results.manifest import Manifest
from yolact_bench.results.record import Record
from yolact_bench.text import NOT_AVAILABLE

FAST = "YOLACT R-101 fast"  # 29.9 mask AP, 33.5 fps, 30.0 ms; COCO val2017, Titan Xp


def _summary(
    tmp_path: Path, records: list[Record] | None = None, plan: Manifest | None = None
) -> Summary:
    return read(fake_work.write_work(tmp_path, records, plan), fake_work.NAME)


def _against(summary: Summary) -> dict[str, dict[str, str]]:
    """Quantity → column → cell; the two columns named "on" are told apart."""
    table = paper_table.against_paper(summary)
    assert table is not None
    columns = ("arm", "published as", "quantity", "published", "split", "ours", "where", "gap")
    return {row[2]: dict(zip(columns, row, strict=True)) for row in table.rows}


def _on_coco(**changes: object) -> Record:
    return fake_work.accuracy("fast", dataset="coco val", num_images=5000, **changes)


def test_a_published_accuracy_stands_beside_the_measured_one(tmp_path: Path) -> None:
    """Measured 31.0, published 29.9."""
    plan = fake_work.manifest(paper_rows={"fast": FAST})
    summary = _summary(tmp_path, [_on_coco(), fake_work.latency("fast")], plan)
    line = _against(summary)["mask AP"]
    assert line["published as"] == f"{FAST} †"
    assert (line["published"], line["ours"], line["gap"]) == ("29.9", "31.0", "+1.10")
    assert (line["split"], line["where"]) == ("COCO val2017", "coco val, 5000 images")


def test_times_of_other_hardware_are_named_and_never_divided(tmp_path: Path) -> None:
    plan = fake_work.manifest(paper_rows={"fast": FAST})
    summary = _summary(tmp_path, [_on_coco(), fake_work.latency("fast")], plan)
    line = _against(summary)["fps"]
    assert (line["split"], line["where"]) == ("Titan Xp", "Example (CPU), 2 threads, end_to_end")
    assert line["gap"].startswith("—")
    table = paper_table.against_paper(summary)
    assert table is not None
    assert "published on Titan Xp, measured on Example (CPU)" in " ".join(table.notes)


def test_accuracies_on_other_images_are_not_subtracted(tmp_path: Path) -> None:
    plan = fake_work.manifest(paper_rows={"fast": FAST})
    line = _against(_summary(tmp_path, [fake_work.accuracy("fast")], plan))["mask AP"]
    assert (line["ours"], line["gap"]) == ("31.0", "— ¹")


def test_another_split_of_the_same_images_is_marked(tmp_path: Path) -> None:
    """29.8 on test-dev, measured 31.0 on val."""
    plan = fake_work.manifest(paper="yolact.models", paper_rows={"fast": "YOLACT-550 R-101"})
    summary = _summary(tmp_path, [_on_coco()], plan)
    assert _against(summary)["mask AP"]["gap"] == "+1.20 ¹"
    table = paper_table.against_paper(summary)
    assert table is not None
    assert "another split" in " ".join(table.notes)


def test_a_published_effect_stands_beside_the_measured_difference(tmp_path: Path) -> None:
    """every third instead of none: +1.6 published, 33.5 − 31.0 = +2.5 measured."""
    rows = {"deformable": "every third instead of none"}
    plan = fake_work.manifest(paper="yolact_plus.dcn", paper_rows=rows)
    records = [
        fake_work.accuracy(arm, dataset="coco val", num_images=5000)
        for arm in ("fast", "deformable")
    ]
    line = _against(_summary(tmp_path, list(records), plan))["Δ mask AP"]
    assert (line["published"], line["ours"], line["gap"]) == ("+1.6", "+2.5", "+0.90")


def test_without_rows_for_arms_the_published_ones_stand_alone(tmp_path: Path) -> None:
    summary = _summary(tmp_path)
    assert paper_table.against_paper(summary) is None
    assert paper_table.published_rows(summary) is not None


@pytest.mark.parametrize("budget", ["smoke", "short"])
def test_a_proxy_says_so_in_every_title_row_and_file(tmp_path: Path, budget: str) -> None:
    plan = fake_work.manifest(budget=budget, paper_rows={"fast": FAST})
    summary = _summary(tmp_path, [_on_coco(), fake_work.latency("fast")], plan)
    told = f"(proxy: {budget} budget)"
    page = markdown_report(summary, ["ap_against_ms", "stages"])
    titles = [line for line in page.splitlines() if re.match(r"#{1}\s|#{3}\s|!\[", line)]
    assert all(told in title or "Published: " in title for title in titles)
    assert titles[0] == f"# quick {told}"
    assert all("¹" in row[0] for row in comparison(summary).rows)
    assert latex_report(summary).count(told) >= 3
    assert told in html_report(summary, {})
    for text in csv_files(summary).values():
        assert all(line["budget"] == budget for line in csv.DictReader(text.splitlines()))
    assert _against(summary)["mask AP"]["gap"].startswith("—")
    measured = Table(title="Published: ours", columns=("arm",), rows=(("fast",),))
    assert sections.with_mark(measured, summary).title == f"Published: ours {told}"


def test_a_figure_of_a_proxy_carries_the_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reports.figures import draw as plots
    from reports.figures.bars import errors
    from reports.figures.style import FigureSet

    monkeypatch.setattr(plots, "FIGURES", FigureSet({"errors": errors}))
    records = [fake_work.accuracy("fast"), fake_work.errors("fast")]
    plan = fake_work.manifest(budget="smoke")
    summary = _summary(tmp_path, list(records), plan)
    full = replace(summary, manifest=replace(plan, budget="full"))
    marked, plain = plots.draw(summary)["errors"]["png"], plots.draw(full)["errors"]["png"]
    assert marked != plain
    assert sections.proxy_mark(full) == ""


def test_another_programs_arm_is_marked_and_keeps_its_time_out_of_the_column(
    tmp_path: Path,
) -> None:
    plan = fake_work.manifest()
    runs = tuple(replace(r, run={}) if r.arm == "sequential" else r for r in plan.runs)
    theirs = fake_work.environment(device="Other GPU", device_type="cuda")
    records = [
        fake_work.accuracy("fast"),
        fake_work.accuracy("sequential", parameters=0, origin="rtmdet 3.3"),
        fake_work.latency("fast"),
        fake_work.latency("sequential", session="theirs", environment=theirs),
    ]
    summary = _summary(tmp_path, list(records), replace(plan, runs=runs))
    table = comparison(summary)
    row = table.rows[1]
    assert row[0] == "sequential ¹"
    assert row[7] == "–"  # nobody has told its parameters
    assert row[8].startswith("—")
    notes = " ".join(table.notes)
    assert "measured elsewhere: another program's predictions (rtmdet 3.3)" in notes
    assert "not to be compared with them: 44." in notes  # 44 ms · the median swing
    assert "wall clock, fp32, end_to_end, on Other GPU" in notes
    assert "sequential" not in [arm for t in summary.trainings for arm in t.label.split(", ")]


def test_errors_are_means_over_seeds_with_their_spread(tmp_path: Path) -> None:
    """Localisation costs 8 and 10 points: 9 ± √2; the oracle gives 36 and 38."""
    plan = fake_work.manifest(seeds=(0, 1))
    records = [
        *(fake_work.accuracy("fast", seed=seed) for seed in (0, 1)),
        *(fake_work.errors("fast", seed=seed, shift=0.02 * seed) for seed in (0, 1)),
    ]
    summary = _summary(tmp_path, list(records), plan)
    table = error_table(summary, "mask")
    assert table.columns == ("arm", "AP50", "class", "location", "missed")
    assert table.rows == (("fast", "51.0 ± 0.0", "2.0 ± 0.0", "9.0 ± 1.4", "12.0 ± 0.0"),)
    reach = oracle_table(summary)
    assert reach.columns[1:] == (
        "as it is",
        "scored by true mask IoU",
        "true masks in the prototypes",
    )
    assert reach.rows[0][2] == "37.0 ± 1.4"
    assert errors_figure(summary) is not None


def test_an_undefined_oracle_is_a_dash_and_a_recorded_zero_stays_zero(tmp_path: Path) -> None:
    analysis = replace(fake_work.errors("fast"), oracles={"none": 0.0, "project_gt": None})
    summary = _summary(tmp_path, [fake_work.accuracy("fast"), analysis])
    assert oracle_table(summary).rows == (("fast", "0.0", NOT_AVAILABLE),)


def test_arms_without_analysis_have_no_section_of_errors(tmp_path: Path) -> None:
    summary = _summary(tmp_path)
    assert errors_figure(summary) is None
    assert "Errors" not in [section.title for section in sections.sections(summary)]


def test_the_command_of_one_arm_names_no_other(tmp_path: Path) -> None:
    plan = fake_work.manifest(command="yolact-bench run a.yaml --only fast --only 'b c' --sizes")
    again = command(_summary(tmp_path, [], plan), "soft")
    assert again == "yolact-bench run a.yaml --sizes --only soft"


def test_every_number_names_its_run_commit_device_and_command(tmp_path: Path) -> None:
    environment = fake_work.environment(dirty=True)
    records = [fake_work.accuracy("fast", environment=environment), fake_work.latency("fast")]
    summary = _summary(tmp_path, list(records))
    table = origins(summary)
    line = dict(zip(table.columns, table.rows[0], strict=True))
    assert line["run"] == "d-fast-0"
    assert line["training"] == "t-plain-0"
    assert line["commit"] == "c0ffee1 + changes"
    assert line["device"] == "Example (CPU)"
    assert line["again"] == "yolact-bench run ablations/quick.yaml --only fast"
    assert table.rows[1][2] == "ms"
    assert table.rows[2][6] == "—"  # sequential has not run
    runs = list(csv.DictReader(csv_files(summary)["runs.csv"].splitlines()))
    assert (runs[0]["detect_digest"], runs[0]["commit"]) == ("d-fast-0", "c0ffee1")
    assert runs[0]["uncommitted_changes"] == "True"


def test_a_number_of_the_page_leads_to_where_it_comes_from(tmp_path: Path) -> None:
    page = html_report(_summary(tmp_path), {})
    links = re.findall(r'<a href="#(from-\d+)" title="([^"]*)">31.0</a>', page)
    assert links == [
        ("from-0", "seed 0: run d-fast-0, commit c0ffee1, Example (CPU), 2026-01-01T00:00:00Z")
    ]
    assert 'id="from-0"' in page


def test_latex_has_nothing_that_its_default_fonts_lack(tmp_path: Path) -> None:
    """Every letter of our own words is ASCII or replaced by a command; braces balance."""
    records = [*fake_work.finished_records(), fake_work.errors("fast")]
    plan = fake_work.manifest(paper_rows={"fast": FAST}, budget="smoke")
    work = fake_work.write_work(tmp_path, list(records), plan)
    for arm in ("fast", "sequential", "cross_class_fast"):
        fake_work.write_resamples(
            work, fake_work.accuracy(arm), noise=0.0 if arm == "fast" else 0.001
        )
    tex = latex_report(read(work, fake_work.NAME))
    body = "".join(line for line in tex.splitlines(keepends=True) if not line.startswith("%"))
    assert [letter for letter in body if not letter.isascii()] == []
    unescaped = re.sub(r"\\[{}]", "", body)
    depth = 0
    for letter in unescaped:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        assert depth >= 0
    assert depth == 0
    for name in ("table", "tabular"):
        assert body.count(rf"\begin{{{name}}}") == body.count(rf"\end{{{name}}}") == 6
    assert not re.search(r"\\\\\s*\[", body)  # it would be read as a length
    widths = re.findall(r"\\begin\{tabular\}\{([lr]+)\}", body)
    for width, table in zip(widths, body.split(r"\begin{tabular}")[1:], strict=True):
        rows = table.split(r"\end{tabular}")[0].splitlines()
        for row in rows:
            if row.endswith(r"\\"):
                assert len(re.findall(r"(?<!\\)&", row)) == len(width) - 1


def test_every_error_and_oracle_that_is_analysed_has_a_name_for_readers() -> None:
    assert set(TYPES) == {*ERROR_TYPES, *OPPOSITES}
    assert set(ORACLES) == set(ANALYSED)


def test_what_an_arm_changes_unwritten_stands_below_the_main_table(tmp_path: Path) -> None:
    """Computed from the runs of the manifest; on a terminal only with -v."""
    plan = fake_work.manifest(seeds=(0, 1))
    runs = tuple(
        replace(
            run,
            run={
                "nms": {"name": "fast", "top_k": None if run.arm == "sequential" else 200},
                "seed": run.seed,
            },
        )
        for run in plan.runs
    )
    summary = _summary(tmp_path, plan=replace(plan, runs=runs))
    note = "sequential: also nms.top_k null (baseline 200)"
    assert [text for text in comparison(summary).notes if ": also " in text] == [note]
    assert note in markdown_report(summary, ())
    assert note in html_report(summary, {})
    assert note in " ".join(render(summary, notes=True).split())
    assert ": also " not in render(summary)
