"""A work directory of commit e888bae is read as it is: nothing is done again, numbers are equal.

tests/golden/work_e888bae was written there by `yolact-bench run compat.yaml --rounds 10` (CPU);
weights, predictions and MLflow's files are left out, so anything made again would fail or show.
"""

import csv
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import GOLDEN, ROOT

EARLIER = GOLDEN / "work_e888bae"
TABLES = ("table.csv", "differences.csv", "latency.csv", "runs.csv")
# On the machine that took its times: elsewhere they would be taken again.
RUN = """
from pathlib import Path
from reports.pages import build
from runners.system import environment
from yolact_bench.results.store import open_store
recorded = next(open_store(Path()).latencies()).environment
environment.environment = lambda device: recorded
build.draw = lambda _: {}  # no figure is compared
from runners.cli.main import main
main()
"""
OPTIONS = ("--work-dir", ".", "--device", "cpu", "--rounds", "10")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The earlier work directory after `run` of today."""
    folder = tmp_path_factory.mktemp("earlier")
    shutil.copytree(EARLIER, folder, dirs_exist_ok=True)
    for table in TABLES:
        (folder / "reports" / "compat" / table).unlink()
    words = [sys.executable, "-c", RUN, "run", "compat.yaml", *OPTIONS]
    done = subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_nothing_is_trained_evaluated_or_timed_again(work: Path) -> None:
    assert (work / "results.jsonl").read_bytes() == (EARLIER / "results.jsonl").read_bytes()
    assert not list(work.rglob("*.pt"))
    assert not (work / "predictions").exists()


@pytest.mark.parametrize("table", TABLES)
def test_its_tables_are_equal_to_the_last_digit(work: Path, table: str) -> None:
    """In the columns of that commit; a table may have got others since."""
    recorded = (EARLIER / "reports" / "compat" / table).read_text()
    for number in (1, 10, 100):  # columns have been renamed as the fields of records
        recorded = recorded.replace(f"_ar{number},", f"_ar_{number},")
    # A command repeats all options that shape the numbers; it left --rounds out.
    recorded = recorded.replace("run compat.yaml", "run compat.yaml --rounds 10")
    rows = list(csv.DictReader(io.StringIO(recorded)))
    today = csv.DictReader(io.StringIO((work / "reports" / "compat" / table).read_text()))
    assert [{column: row.get(column) for column in rows[0]} for row in today] == rows


def test_its_main_table_is_equal(work: Path) -> None:
    rows = _rows(EARLIER)
    assert [{column: row.get(column) for column in rows[0]} for row in _rows(work)] == rows
    assert len(rows) == 3  # arms


def _rows(folder: Path) -> list[dict[str, str]]:
    """Column → cell of each arm in the main table."""
    lines = (folder / "reports" / "compat" / "report.md").read_text().splitlines()
    first = next(row for row, line in enumerate(lines) if line.startswith("| arm"))
    end = next(row for row in range(first, len(lines)) if not lines[row].startswith("|"))
    head, _, *rows = [[cell.strip() for cell in line.split("|")] for line in lines[first:end]]
    return [dict(zip(head, row, strict=True)) for row in rows]
