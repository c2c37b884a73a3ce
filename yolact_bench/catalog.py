"""Every table in one mapping: all that can be replaced, with what other packages add."""

from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import EntryPoint
from typing import Any

from yolact_bench.data.augment import AUGMENTATIONS
from yolact_bench.deform import DEFORM_IMPLEMENTATIONS
from yolact_bench.detect.nms import NMS
from yolact_bench.detect.rescore import RESCORERS
from yolact_bench.errors import SpecError, hint
from yolact_bench.geometry.anchors import ANCHORS
from yolact_bench.geometry.masks import ASSEMBLIES
from yolact_bench.loss.box import BOX_LOSSES
from yolact_bench.loss.classify import CLASS_LOSSES
from yolact_bench.loss.mask import MASK_LOSSES
from yolact_bench.loss.mask_iou import MASK_IOU_LOSSES
from yolact_bench.loss.match import MATCHERS
from yolact_bench.loss.semantic import SEMANTIC_LOSSES
from yolact_bench.model.backbone import BACKBONES
from yolact_bench.model.backbone.dcn import DCN_PLACEMENTS
from yolact_bench.model.batch_norm import BATCH_NORMS
from yolact_bench.model.fpn import FPNS
from yolact_bench.model.head import HEADS
from yolact_bench.model.protonet import PROTONETS
from yolact_bench.model.rescore import RESCORE_NETS
from yolact_bench.runtime import RUNTIMES
from yolact_bench.schedule import SCHEDULES
from yolact_bench.slots import ENTRY_GROUP, outside_entries
from yolact_bench.weights.initial import INITS

# Components differ in what they take and return; each table's own type says it.
Component = Callable[..., Any]

OWN: Mapping[str, Mapping[str, Component]] = {
    "backbone": BACKBONES,
    "dcn": DCN_PLACEMENTS,
    "fpn": FPNS,
    "protonet": PROTONETS,
    "anchors": ANCHORS,
    "head": HEADS,
    "rescore_net": RESCORE_NETS,
    "augment": AUGMENTATIONS,
    "matcher": MATCHERS,
    "class_loss": CLASS_LOSSES,
    "box_loss": BOX_LOSSES,
    "mask_loss": MASK_LOSSES,
    "semantic_loss": SEMANTIC_LOSSES,
    "mask_iou_loss": MASK_IOU_LOSSES,
    "schedule": SCHEDULES,
    "init": INITS,
    "batch_norm": BATCH_NORMS,
    "nms": NMS,
    "rescore": RESCORERS,
    "assembly": ASSEMBLIES,
    "runtime": RUNTIMES,
    "deform": DEFORM_IMPLEMENTATIONS,
}


def alternatives(slot: str, fits: Callable[[Component], bool]) -> str:
    """Return the components of a slot that fit, as a message says what to write."""
    names = sorted(name for name, component in components(slot).items() if fits(component))
    return f"{slot}: {' or '.join(f'{{name: {name}}}' for name in names) or 'nothing fits'}"


@cache
def components(slot: str) -> Mapping[str, Component]:
    """Return the table of a slot: ours, and the entry points of group `yolact_bench.<slot>`.

    Raises:
        SpecError: a package offers a name that is taken, so that results would depend on the order;
            a component that cannot be imported; or components of a slot that does not exist.
    """
    table = dict(OWN[slot])
    for entry in outside_entries():
        package, group = _package(entry), entry.group.removeprefix(ENTRY_GROUP)
        if group not in OWN:
            raise SpecError(
                f"the package {package} offers {entry.name!r} in the entry-point group "
                f"{entry.group}: no slot is named {group!r}{hint(group, OWN)}"
            )
        if group != slot:
            continue
        if entry.name in table:
            raise SpecError(
                f"{slot}: the package {package} offers a second component named {entry.name!r}; "
                "rename it or uninstall the package"
            )
        try:
            table[entry.name] = entry.load()
        except Exception as error:
            raise SpecError(
                f"{slot}: {entry.name} of the package {package} cannot be imported "
                f"({type(error).__name__}: {error}); repair or uninstall the package"
            ) from error
    return table


def package_of(slot: str, name: str) -> str:
    """Return the package and version that a component comes from, "" for one of ours.

    Results depend on it, so it is part of their digests.
    """
    entries = (e for e in outside_entries() if e.group == f"{ENTRY_GROUP}{slot}" and e.name == name)
    return next(map(_package, entries), "")


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "without a name"
