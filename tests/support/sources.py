"""The product's source files, read and parsed once for all tests of them."""

import ast

from tests.support.paths import ROOT

PACKAGES = ("yolact_bench", "runners", "reports")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LINES = {path: path.read_text().count("\n") for path in SOURCES}
TREES = {path: ast.parse(path.read_text()) for path in SOURCES}
