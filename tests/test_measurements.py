"""Every number that the README publishes names the row, and so the commit, that it comes from."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGE = (ROOT / "docs" / "measurements.md").read_text()
LINK = re.compile(r"\(docs/measurements\.md#([\w-]+)\)")
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
