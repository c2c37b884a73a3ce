"""The README states the tested versions that the package declares."""

import re
from pathlib import Path

import pytest

from runners.system import environment
from runners.system.environment import supported_versions, unsupported_packages

README = Path(__file__).parents[3] / "README.md"
LIBRARIES = ("torch", "torchvision", "pycocotools", "optuna", "mlflow", "ray", "faster-coco-eval")


def test_every_library_whose_inside_is_used_has_a_tested_range() -> None:
    assert set(supported_versions()) == set(LIBRARIES)
    for bounds in supported_versions().values():
        assert re.fullmatch(r">=\d+(\.\d+)+,<\d+\.\d+", bounds)


def test_the_readme_states_each_range() -> None:
    text = README.read_text()
    for name, bounds in supported_versions().items():
        assert f"{name} {bounds.replace(',', ', ')}" in text


def test_a_version_outside_the_range_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unsupported_packages() == {}
    installed = environment.version
    newest = {"torch": "99.0", "ray": "2.39.0"}
    monkeypatch.setattr(environment, "version", lambda name: newest.get(name) or installed(name))
    assert unsupported_packages() == newest
