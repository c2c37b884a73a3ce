"""Private names of other projects are used behind one door each, and nowhere else."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What a library has there may change in any version; each door has a test of the shape it needs.
DOORS = {
    "yolact_bench/torch_internals.py": "tests/yolact_bench/test_torch_internals.py",
}
# Documented in spite of the underscore.
DOCUMENTED = {"_exit", "_replace", "_asdict", "_fields", "_make", "_getframe"}
LIBRARIES = (
    "torch|torchvision|triton|pycocotools|faster_coco_eval|optuna|mlflow|ray|numpy|scipy|pandas"
    "|matplotlib|rich|typer|cv2"
)
# Of these the whole module is internal, whatever its functions are called.
INTERNAL = r"torch\.fx\.experimental|torch\.utils\._\w+"
PRIVATE_PATH = re.compile(rf"(?:(?:{LIBRARIES})(?:\.\w+)*\._[a-z]\w*|{INTERNAL})(?:\.\w+)*")


def python_files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.split() if (ROOT / name).is_file()]


def private_uses(source: str, *, product: bool) -> Iterator[str]:
    """Yield line and text of what reaches into another project.

    In the product any private attribute but one's own counts, whatever object it is of; in tests,
    which look into our own classes, only paths that begin with a library's name.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and product and _is_foreign(node):
            yield f"{node.lineno}: {ast.unparse(node)}"
        for path in _paths(node):
            if PRIVATE_PATH.fullmatch(path):
                yield f"{getattr(node, 'lineno', 0)}: {path}"


def _is_foreign(node: ast.Attribute) -> bool:
    own = isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"}
    hidden = node.attr.startswith("_") and not node.attr.startswith("__")
    return hidden and not own and node.attr not in DOCUMENTED


def _paths(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom) and node.module:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    return [ast.unparse(node)] if isinstance(node, ast.Attribute) else []


def test_no_private_name_of_a_library_is_used_outside_its_door() -> None:
    uses = [
        f"{name}:{use}"
        for name in python_files()
        if name not in DOORS and name not in DOORS.values() and name != "tests/test_doors.py"
        for use in private_uses((ROOT / name).read_text(), product=not name.startswith("tests/"))
    ]
    assert uses == []


def test_every_door_has_a_test_of_the_shapes_it_relies_on() -> None:
    for door, test in DOORS.items():
        assert list(private_uses((ROOT / door).read_text(), product=True)), "a door to nothing"
        assert (ROOT / test).is_file()


@pytest.mark.parametrize(
    "source",
    [
        "import torch._inductor.config",
        "from torch._dynamo.utils import counters",
        "from torch.utils import _pytree",
        "from torch.fx.experimental.proxy_tensor import make_fx",
        "torch.ops.mkldnn._is_mkldnn_bf16_supported()",
        "importlib.import_module('torch._inductor.config')",
        "trial._trial_id",
    ],
)
def test_the_search_finds(source: str) -> None:
    assert list(private_uses(source, product=True))


def test_the_search_leaves_alone() -> None:
    allowed = "self._study = x.public\nos._exit(1)\nrow._replace(a=1)\ncls._table\nx.__dict__"
    assert not list(private_uses(allowed, product=True))
