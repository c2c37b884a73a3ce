"""A new component in a file of its own can import the types of its slot.

Its table imports that file. So what a slot takes and returns must be declared in modules that do
not import the table.
"""

import importlib
import inspect
from types import ModuleType
from typing import get_args, get_type_hints

import grimp
import pytest

from yolact_bench import catalog
from yolact_bench.catalog import OWN
from yolact_bench.model.backbone.backbone import Backbone
from yolact_bench.model.protocols import Fpn, Head, Protonet
from yolact_bench.runtime.runtime import Program
from yolact_bench.schedule.schedule import Schedule

GRAPH = grimp.build_graph("yolact_bench", cache_dir=None)


def table_of(slot: str) -> tuple[ModuleType, type]:
    """The module that declares the table of a slot, and the type of its entries."""
    for imported in GRAPH.find_modules_directly_imported_by(catalog.__name__):
        module = importlib.import_module(imported)
        for name, declared in inspect.get_annotations(module).items():
            if getattr(module, name, None) is OWN[slot]:
                return module, get_args(declared)[1]
    raise AssertionError(f"no module declares the table of {slot}")


def project_types(annotation: object) -> set[type]:
    """The classes of this project in an annotation."""
    own = getattr(annotation, "__module__", "").startswith("yolact_bench")
    parts = (part for argument in get_args(annotation) for part in project_types(argument))
    return {annotation, *parts} if own and inspect.isclass(annotation) else set(parts)


@pytest.mark.parametrize("slot", sorted(OWN))
def test_the_types_of_a_slot_do_not_need_its_table(slot: str) -> None:
    table, protocol = table_of(slot)
    assert inspect.isclass(protocol), "entries have a protocol with named parameters"
    hints = get_type_hints(protocol.__call__)
    types = {protocol}.union(*map(project_types, hints.values()))
    for module in {each.__module__ for each in types}:
        assert module != table.__name__
        chain = GRAPH.find_shortest_chain(importer=module, imported=table.__name__)
        assert chain is None, f"{slot}: {' imports '.join(chain or ())}"


@pytest.mark.parametrize("base", [Backbone, Fpn, Protonet, Head, Program, Schedule])
def test_a_component_without_its_method_cannot_be_built(base: type) -> None:
    """At its construction, with the method's name: not at its first call in a training."""
    incomplete = type("Incomplete", (base,), {})
    with pytest.raises(TypeError, match="abstract method"):
        incomplete()
