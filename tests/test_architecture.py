"""What keeps the tree readable: names, layers, headers."""

import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import permutations
from pathlib import Path

import pytest

from runners.evaluation.coco.score import SCORING
from tests.support.paths import ABLATIONS, ROOT
from tests.support.sources import LINES, SOURCES, TREES
from yolact_bench.catalog import OWN, components
from yolact_bench.dataset_spec.dataset import DATASET_SPECS
from yolact_bench.spec.ablation import load
from yolact_bench.spec.budget_names import BUDGETS, FULL
from yolact_bench.yaml_source import read

SPECS = sorted(ABLATIONS.glob("*.yaml"))
RE = re.DOTALL | re.MULTILINE
_SHARED = "yolact_bench.deform.layer"  # torchvision's; also what every layer is
GRAB_BAGS = {"utils", "helpers", "common", "misc", "manager", "base"}
COMPONENT_MODULES = {
    component.__module__ for slot in OWN for component in components(slot).values()
} | {engine.evaluate.__module__ for engine in SCORING.values()}


def module_of(path: Path) -> str:
    """The dotted name of a source file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(tree: ast.Module) -> Iterator[str]:
    """Yield every module or name that a file imports, dotted."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_there_are_sources_and_ablations_to_look_at() -> None:
    assert len(SOURCES) > 80
    assert SPECS
    assert len(COMPONENT_MODULES) > 20


def test_runners_has_at_most_fifteen_entries() -> None:
    entries = [p for p in (ROOT / "runners").iterdir() if p.name != "__pycache__"]
    assert len(entries) <= 15


def test_runners_has_at_most_eight_import_layers() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (contract,) = (
        contract
        for contract in pyproject["tool"]["importlinter"]["contracts"]
        if contract.get("containers") == ["runners"]
    )
    assert len(contract["layers"]) <= 8
    assert contract["exhaustive"]
    assert "ignore_imports" not in contract


def test_every_package_says_what_it_is() -> None:
    packages = [path for path in SOURCES if path.name == "__init__.py"]
    assert [str(path) for path in packages if not ast.get_docstring(TREES[path])] == []
    folders = {path.parent for path in SOURCES}
    assert {folder for folder in folders if not (folder / "__init__.py").is_file()} == set()


def test_every_package_has_a_public_face_of_names_that_exist() -> None:
    """Its docstring ends in "Public:": `name` of the package itself, or `module.name`."""
    for path in (path for path in SOURCES if path.name == "__init__.py"):
        face = re.search(r"^Public: (.*?)\.(?:\s|$)", ast.get_docstring(TREES[path]) or "", RE)
        assert face is not None, f"{path} has no line 'Public: ...'"
        names = re.findall(r"`([\w.]+)`", face[1])
        assert names, path
        assert [name for name in names if not _exists(path.parent, name)] == [], path


def _exists(folder: Path, name: str) -> bool:
    """Whether a dotted name leads from a package to a module, or to a name that one defines."""
    *parents, last = name.split(".")
    for part in parents[:-1]:
        folder /= part
    module = folder / (f"{parents[-1]}.py" if parents else "__init__.py")
    if parents and not module.is_file():
        module = folder / parents[-1] / "__init__.py"
    beside = module.parent if module.name == "__init__.py" else module.with_suffix("")
    if (beside / f"{last}.py").is_file() or (beside / last / "__init__.py").is_file():
        return True
    return module.is_file() and last in _top_level_names(TREES[module])


def _top_level_names(tree: ast.Module) -> set[str]:
    names = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def test_variants_of_a_slot_are_independent() -> None:
    """Those in files of their own never import one another, nor by way of a third module.

    A module that defines the table may hold one of its components.
    """
    files = {module_of(path): path for path in SOURCES}
    graph = {module: set(imports_of(TREES[path])) & files.keys() for module, path in files.items()}
    siblings = [
        (slot, module, other)
        for slot, table in OWN.items()
        for module, other in permutations({c.__module__ for c in table.values()} - {_SHARED}, 2)
        if not any(value is table for value in vars(sys.modules[module]).values())
        if other in _reachable(graph, module)
    ]
    assert siblings == []


def _reachable(graph: Mapping[str, set[str]], start: str) -> set[str]:
    """All modules that an import of `start` imports, itself included."""
    known, new = {start}, {start}
    while new:
        new = set().union(*(graph[module] for module in new)) - known
        known |= new
    return known


def test_an_import_by_way_of_a_third_module_is_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": set[str](), "d": {"a"}}
    assert _reachable(graph, "a") == {"a", "b", "c"}


def test_no_module_exists_for_one_importer_alone() -> None:
    """Under 40 lines and one importer: it belongs into that importer.

    Unless it is a component, or the table of its folder: what imports three of its siblings.
    """
    importers: dict[str, set[Path]] = defaultdict(set)
    for path, tree in TREES.items():
        for name in imports_of(tree):
            importers[name].add(path)
    small = {
        module_of(path)
        for path, lines in LINES.items()
        if lines < 40 and path.name != "__init__.py"
    }
    tables = {module_of(path) for path, tree in TREES.items() if _siblings(path, tree) >= 3}
    assert {m for m in small - COMPONENT_MODULES - tables if len(importers[m]) <= 1} == set()


def _siblings(path: Path, tree: ast.Module) -> int:
    """How many other modules of its own folder a file imports."""
    folder = module_of(path).rpartition(".")[0]
    own = {module_of(other) for other in SOURCES if other.parent == path.parent}
    return len({name for name in imports_of(tree) if name in own and name != folder})


def test_no_code_compares_the_name_of_a_component() -> None:
    """What other code must know of a component is a fact on it; `none` is the empty choice."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and _names_a_component(node)
    ]
    assert found == []


def _names_a_component(node: ast.Compare) -> bool:
    """Whether it compares the name of a choice (`x["name"]`, `x.get("name")`) with text."""
    sides = [node.left, *node.comparators]
    constants = {
        part.value for side in sides for part in ast.walk(side) if isinstance(part, ast.Constant)
    }
    known = {name for slot in OWN for name in components(slot)} | set(DATASET_SPECS)
    return "name" in constants and bool(constants & (known - {"none"}))


def test_no_code_compares_the_name_of_a_budget() -> None:
    """But for the full one, which is no stand-in; the others differ by their fields."""
    names = set(BUDGETS) - {FULL}
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        and names & {side.value for side in node.comparators if isinstance(side, ast.Constant)}
    ]
    assert found == []


def test_no_code_looks_up_the_name_of_a_component() -> None:
    """`TABLE[x["name"]]` and `TABLE.get(x["name"])` belong to `slots`; others ask for a fact."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if path != ROOT / "yolact_bench" / "slots.py" and _looks_up_a_name(node)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "caught"),
    [
        ('TABLE.get(run.schedule["name"], {})', True),
        ('TABLE.get(str(schedule.get("name")))', True),
        ('TABLE[str(runtime["name"])]', True),
        ('schedule["name"]', False),
        ('run.dataset.get("file", run.dataset["name"])', False),
        ('ids[one["name"]] = 1', False),
    ],
)
def test_a_look_up_of_a_name_is_recognised(text: str, caught: bool) -> None:
    assert any(_looks_up_a_name(node) for node in ast.walk(ast.parse(text))) == caught


def _looks_up_a_name(node: ast.AST) -> bool:
    """Whether it reads a table at a key that is the name of a choice."""
    key: ast.AST
    match node:
        case ast.Subscript(slice=key, ctx=ast.Load()):
            pass
        case ast.Call(func=ast.Attribute(attr="get"), args=[key, *_]):
            pass
        case _:
            return False
    return any(_is_name_of_choice(part) for part in ast.walk(key))


def _is_name_of_choice(node: ast.AST) -> bool:
    match node:
        case ast.Subscript(slice=ast.Constant(value="name")):
            return True
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value="name"), *_]):
            return True
    return False


def test_no_file_is_a_grab_bag() -> None:
    assert [path for path in SOURCES if path.stem in GRAB_BAGS] == []


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_an_ablation_states_question_command_cost_and_expectation(path: Path) -> None:
    ablation = load(path)
    header = " ".join(read(path).header)
    assert ablation.question.endswith("?")
    assert f"yolact-bench run ablations/{path.name}" in header
    assert "Cost:" in header
    assert "Expect:" in header
    assert ablation.name == path.stem
