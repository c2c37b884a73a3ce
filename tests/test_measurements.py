"""Every number of the README names its row, which has a commit and, if kept, records."""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from reports.pages.build import build
from yolact_bench.results.frames import Results
from yolact_bench.results.record import Accuracy, Latency
from yolact_bench.results.store import open_store

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGE = (ROOT / "docs" / "measurements.md").read_text()
LINK = re.compile(r"\(docs/measurements\.md#([\w-]+)\)")
RECORDS = ROOT / "reports" / "records"
NAMES = sorted(path.parent.name for path in RECORDS.glob("*/results.jsonl"))
HASH = re.compile(r"\b[0-9a-f]{7}\b")


@cache
def rows() -> dict[str, list[str]]:
    """The cells of each row of the page, by its anchor."""
    lines = [line for line in PAGE.splitlines() if line.startswith('| <a id="')]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {re.findall(r'id="([\w-]+)"', row[0])[0]: row for row in cells}


def tables() -> list[tuple[str, str]]:
    """Each table of the README with the text up to the next table or heading."""
    parts = re.split(r"((?:^\|.*\n)+)", README, flags=re.MULTILINE)
    return [
        (parts[n], re.split(r"^#", parts[n + 1], flags=re.M)[0]) for n in range(1, len(parts), 2)
    ]


def has_numbers(table: str) -> bool:
    """Whether a cell below the head is a number, with or without its mark and spread."""
    _, _, *body = table.splitlines()
    return any(re.match(r"[*+−]*\d", cell.strip()) for line in body for cell in line.split("|"))


@pytest.mark.parametrize(("table", "below"), [pair for pair in tables() if has_numbers(pair[0])])
def test_a_table_of_numbers_names_its_source_and_commit(table: str, below: str) -> None:
    source = next(text for text in below.strip().split("\n\n") if text.startswith("Source: "))
    commits = {rows()[anchor][2] for anchor in LINK.findall(source)}
    assert commits
    assert set(HASH.findall(source)) == commits


def test_a_table_of_numbers_is_recognised() -> None:
    head = "| a | b |\n|---|---|\n"
    assert not has_numbers(head + "| `1 seed` | in at most 5 % |\n")
    assert has_numbers(head + "| x | **2,889** (41 %) |\n")
    assert has_numbers(head + "| x | −9.71 [−11.48, −7.93] * |\n")
    assert sum(has_numbers(table) for table, _ in tables()) >= 5


def test_every_row_is_linked_and_every_link_leads_to_a_row() -> None:
    assert set(LINK.findall(README)) == set(rows())


@pytest.mark.parametrize("anchor", sorted(rows()))
def test_a_row_has_a_command_a_commit_a_machine_and_a_date(anchor: str) -> None:
    _, command, commit, machine, date, reproduce = rows()[anchor]
    assert re.match(r"`(yolact-bench|make|pytest) ", command)
    assert HASH.fullmatch(commit)
    assert machine
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", date)
    assert reproduce


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "-C", str(ROOT), *arguments], check=False, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    "commit", sorted({*HASH.findall(README)} | {row[2] for row in rows().values()})
)
def test_a_commit_exists_in_the_history(commit: str) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no git history here")
    if git("rev-parse", "--is-shallow-repository").stdout.strip() != "false":
        pytest.skip("the history is shallow, or git is missing")
    assert git("merge-base", "--is-ancestor", commit, "HEAD").returncode == 0


def test_kept_records_are_named_by_the_page() -> None:
    assert "quickstart" in NAMES
    assert set(NAMES) == set(re.findall(r"\(\.\./reports/records/(\w+)\)", PAGE))


@pytest.mark.parametrize("name", NAMES)
def test_kept_records_are_of_the_clean_commit_in_their_row(name: str) -> None:
    records = open_store(RECORDS / name).records()
    environments = [each.environment for each in records if isinstance(each, Accuracy | Latency)]
    assert len(environments) == len(records)
    assert not any(each.dirty for each in environments)
    (commit,) = {each.commit for each in environments}
    assert commit.startswith(rows()[name][2])


@pytest.mark.parametrize("name", NAMES)
def test_kept_records_are_enough_for_their_whole_report(name: str, tmp_path: Path) -> None:
    report = build(shutil.copytree(RECORDS / name, tmp_path / "work"), name)
    written = {path.name for path in report.folder.iterdir()}
    assert {"report.html", "report.md", "report.tex", "table.csv", "figures"} <= written
    assert not any(row.missing for row in report.summary.rows)


def test_the_quickstart_of_the_readme_is_that_of_its_records() -> None:
    base = Results(RECORDS / "quickstart", "quickstart").accuracy().query("arm == 'k_16'").iloc[0]
    text = " ".join(README.split())
    minutes = re.findall(r"training of `k_16` took ([\d.]+) minutes", text)
    accuracy = re.findall(r"baseline reached ([\d.]+) mask AP and ([\d.]+) AP50", text)
    assert minutes == [f"{base.train_seconds / 60:.1f}"]
    assert accuracy == [(f"{base.mask_ap:.1f}", f"{base.mask_ap50:.1f}")]
