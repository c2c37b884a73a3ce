"""What keeps files, packages and functions short enough to read."""

import ast
from collections import defaultdict

from tests.support.paths import ROOT
from tests.support.sources import LINES, TREES


def test_no_file_is_longer_than_300_lines() -> None:
    tests = {path: path.read_text().count("\n") for path in (ROOT / "tests").rglob("*.py")}
    everything = {**LINES, **tests}
    assert {str(path): lines for path, lines in everything.items() if lines > 300} == {}


def test_a_file_of_more_than_200_lines_says_why_it_is_one() -> None:
    """In a sentence of its docstring that begins with "One file: "."""
    silent = [
        f"{path.relative_to(ROOT)}: {lines}"
        for path, lines in LINES.items()
        if lines > 200 and "\nOne file: " not in (ast.get_docstring(TREES[path]) or "")
    ]
    assert silent == []


def test_no_package_is_longer_than_2500_lines() -> None:
    """Folders in a top-level package, their own folders included."""
    lengths: dict[str, int] = defaultdict(int)
    for path, lines in LINES.items():
        parts = path.relative_to(ROOT).parts
        if len(parts) > 2:
            lengths["/".join(parts[:2])] += lines
    assert {package: lines for package, lines in lengths.items() if lines > 2500} == {}


def test_no_function_has_more_than_40_lines_of_body() -> None:
    """Without its docstring."""
    long = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and _body_lines(node) > 40
    ]
    assert long == []


def _body_lines(node: ast.FunctionDef) -> int:
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
