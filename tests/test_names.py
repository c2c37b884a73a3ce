"""Names: no participles, and axis letters that are explained."""

import ast
import re

from tests.support.paths import ROOT
from tests.support.sources import PACKAGES, TREES

JAXTYPES = {"Float", "Float32", "Float64", "Int", "Int32", "Int64", "Bool", "UInt8", "Shaped"}
PARTICIPLE = re.compile(
    r"[a-z]*[^e]ed|built|chosen|done|drawn|found|given|gone|held|hidden|kept|known|left|lost|made"
    r"|met|read_only|seen|sent|shown|taken|told|torn|written"
)
# `compiled` is the name of a runtime in YAML; `changed` returns a copy, as Python's `sorted` does;
# a program is of `fixed` shapes.
NAMES_TO_KEEP = {"compiled", "changed", "fixed"}


def test_every_axis_letter_of_an_annotation_is_explained() -> None:
    """In the docstring of yolact_bench; numbers, words and sizes in braces explain themselves."""
    explained = set(
        re.findall(r"[\w*]+", ast.get_docstring(TREES[ROOT / PACKAGES[0] / "__init__.py"]) or "")
    )
    letters = {
        axis: path
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) in JAXTYPES
        for axis in _axes(node)
        if re.fullmatch(r"[A-Za-z][A-Z0-9]?", axis)
    }
    assert {axis: str(path) for axis, path in letters.items() if axis not in explained} == {}


def _axes(node: ast.Subscript) -> list[str]:
    """The axes of a jaxtyping annotation such as `Float[Tensor, "B 4"]`."""
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else []
    text = parts[-1].value if parts and isinstance(parts[-1], ast.Constant) else ""
    return text.split() if isinstance(text, str) else []


def test_no_name_is_a_participle() -> None:
    """Of classes the last word, of functions a single word; a boolean is a claim and may be one."""
    participles = {
        f"{path.relative_to(ROOT)}: {node.name}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and PARTICIPLE.fullmatch(_head(node))
        and node.name.strip("_") not in NAMES_TO_KEEP
    }
    assert participles == set(), "rename to a noun or an imperative verb"


def test_no_variable_is_called_by_what_somebody_did_with_it() -> None:
    """Such as `found` or `told`: the noun says more."""
    names = {
        f"{path.relative_to(ROOT)}:{node.lineno}: {_name(node)}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if re.fullmatch("_?(asked|brought|found|judged|told)", _name(node))
    }
    assert names == set()


def _name(node: ast.AST) -> str:
    """The name that a node binds, if it binds one."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return node.id
    return node.arg if isinstance(node, ast.arg) else ""


def _head(node: ast.FunctionDef | ast.ClassDef) -> str:
    """The word that decides what a name is, or nothing where any will do."""
    if isinstance(node, ast.ClassDef):
        return re.findall(r"[A-Z][a-z0-9]*", node.name)[-1].lower()
    claims = node.returns is not None and ast.unparse(node.returns) == "bool"
    is_property = any(ast.unparse(each) == "property" for each in node.decorator_list)
    return "" if claims or is_property else node.name.strip("_")
