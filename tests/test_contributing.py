"""The page for contributors names files, slots and layers that exist, and misses none."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from yolact_bench.catalog import OWN

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
PATHS = sorted(set(re.findall(r"`([\w/]+/(?:[\w.]+)?|[\w/]+\.(?:py|md|toml|yaml))`", PAGE)))
# Written by a run, in a work directory.
WRITTEN = {"predictions/", "checkpoints/", "manifest.json", "reports/"}


@pytest.mark.parametrize("path", [path for path in PATHS if path not in WRITTEN])
def test_a_named_path_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("slot", sorted(OWN))
def test_a_slot_is_listed_with_its_table_and_its_contract_tests(slot: str) -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{slot}` | ")]
    table, module, contract = re.findall(r"`([^`]+)`", row)[-3:]
    assert re.search(rf"^{table}\b.*= ", (ROOT / module).read_text(), re.MULTILINE)
    assert any(name in (ROOT / contract).read_text() for name in (table, "OWN", "components"))


@pytest.mark.parametrize("package", ["yolact_bench", "runners", "reports"])
def test_every_package_of_the_import_rules_is_in_the_picture(package: str) -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (rules,) = [c for c in contracts["contracts"] if c.get("containers") == [package]]
    picture = PAGE.split("```")[1]
    for layer in rules["layers"]:
        for name in re.split(r"\s*[|:]\s*", layer):
            assert re.search(rf"\b{name}\b", picture), name


def test_the_checks_before_a_commit_work_without_a_network() -> None:
    configuration = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    (repo,) = configuration["repos"]
    assert repo["repo"] == "local"
    assert {hook["language"] for hook in repo["hooks"]} == {"system"}
    tools = {"ruff", "mypy", "lint-imports", "yolact-bench"}
    assert {hook["entry"].split()[0] for hook in repo["hooks"]} == {f".venv/bin/{t}" for t in tools}
