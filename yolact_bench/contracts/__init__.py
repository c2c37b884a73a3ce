"""What every component of a slot must do: checks that a package can run on its own entry points.

In a test of that package, installed with its entry point in the group `yolact_bench.<slot>`:

    from yolact_bench.contracts import checks_of

    @pytest.mark.parametrize("check", checks_of("nms"), ids=lambda check: check.__name__)
    def test_my_nms_keeps_the_contract(check):
        check("nms", "my_nms")

A check fails with an AssertionError, and raises `unittest.SkipTest` where nothing here can run it.
Slots without checks of their own have the general ones.

Public: `checks_of`, `Check`.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from yolact_bench.catalog import components
from yolact_bench.contracts import deform, losses, masks, network, nms, training
from yolact_bench.slots import defaults_of, options_of, resolve

Check: TypeAlias = Callable[[str, str], None]  # slot and name of a component


def checks_of(slot: str) -> tuple[Check, ...]:
    """Return the checks of a slot: the general ones, then its own."""
    return (*_GENERAL, *_OWN.get(slot, ()))


def names_its_source(slot: str, name: str) -> None:
    """The docstring says where the component comes from; ours then say how they differ from it."""
    documents_its_source(components(slot)[name])


def documents_its_source(component: object) -> None:
    """As `names_its_source`, of what is no component of a slot."""
    text = inspect.getdoc(component) or ""
    assert "Source: " in text
    if component.__module__.startswith(("yolact_bench.", "runners.")):
        assert re.search(r"Source: \S.*\sDiffers: .+\.$", text, re.DOTALL), text


def resolves_to_itself(slot: str, name: str) -> None:
    """A choice with every option written out means the same; required options are left out."""
    component = components(slot)[name]
    if defaults_of(component).keys() < options_of(component).keys():
        return
    resolved = resolve(slot, components(slot), {"name": name})
    assert resolve(slot, components(slot), resolved) == resolved


_GENERAL: tuple[Check, ...] = (names_its_source, resolves_to_itself)
_OWN: Mapping[str, tuple[Check, ...]] = {
    "nms": nms.CHECKS,
    "deform": deform.CHECKS,
    "rescore": (
        masks.rescorer_has_a_score_for_each_detection,
        masks.rescorer_states_whether_it_needs_a_network,
    ),
    "assembly": (
        masks.assembly_has_a_soft_mask_for_each_detection,
        masks.assembly_makes_each_mask_from_its_own_coefficients,
        masks.assembly_has_gradients,
    ),
    "init": (network.init_fills_a_backbone_or_refuses,),
    "backbone": (
        network.backbone_halves_sides_rounded_up,
        network.backbone_states_its_facts,
        network.backbone_places_deformable_layers_or_refuses,
        network.backbone_is_folded,
    ),
    "runtime": (network.runtime_keeps_what_a_network_computes,),
    "dcn": (network.placement_names_blocks_that_exist,),
    "fpn": (network.fpn_halves_five_levels,),
    "protonet": (network.protonet_has_twice_the_side_of_p3,),
    "head": (network.head_has_a_row_for_every_anchor,),
    "rescore_net": (network.rescore_net_has_a_value_for_every_class,),
    "anchors": (
        training.anchors_are_as_many_on_every_cell,
        training.anchors_state_their_pixels,
    ),
    "augment": (training.augmentation_makes_a_sample,),
    "matcher": (training.matcher_serves_every_object,),
    "class_loss": (losses.class_loss_is_finite_and_differentiable,),
    "box_loss": (losses.box_loss_is_finite_and_differentiable,),
    "mask_loss": (losses.mask_loss_is_finite_and_differentiable,),
    "semantic_loss": (losses.semantic_loss_is_finite_and_differentiable,),
    "mask_iou_loss": (losses.mask_iou_loss_is_finite_and_differentiable,),
    "schedule": (
        training.schedule_has_a_rate_for_every_iteration,
        training.schedule_states_its_options,
    ),
    "batch_norm": (training.batch_norm_freezes_smaller_batches_only,),
}
