"""From a run as written to a run with every option spelt out and its data fingerprinted."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from yolact_bench.catalog import OWN, alternatives, components, package_of
from yolact_bench.dataset_spec.dataset import DatasetSpec, resolve_dataset
from yolact_bench.errors import Faults, SpecError, hint
from yolact_bench.evaluation import COCO_OPTIONS
from yolact_bench.slots import defaults_of, fact, find_component, pick, resolve
from yolact_bench.spec.run import Run
from yolact_bench.weights.init_file import with_file

TRAINING_PRECISIONS = ("fp32", "bf16", "fp16")


def resolve_architecture(run: Run, *, files: bool = True) -> Run:
    """Return the run with every option of every slot written out; the data is not looked at.

    Without `files` initial weights are not read either, and the digest is not final.

    Raises:
        SpecError: unknown names or options, wrong values, slots that contradict each other.
    """
    resolved = replace(
        resolve_slots(run),
        packages={
            slot: package
            for slot in OWN
            if (package := package_of(slot, str(getattr(run, slot)["name"])))
        },
    )
    if files:
        resolved = replace(resolved, init=with_file(resolved.init))
    _check_together(resolved)
    return resolved


def resolve_run(
    run: Run,
    *,
    data_root: Path | None,
    split: str = "val",
    data: bool = True,
    cache: Path | None = None,
    images: bool = True,
) -> tuple[Run, DatasetSpec]:
    """Return the run ready to digest, and its data set; `split` is what it is evaluated on.

    Without `data` no file is read, without `images` none of those, and the digest is not final.
    The folder `cache` keeps what is read of the data.

    Raises:
        SpecError: as `resolve_architecture`, or malformed data.
        MissingDataError: a file of the data set, or of initial weights, is not there.
    """
    faults, spec = Faults(), None
    with faults.part():
        spec = resolve_dataset(run.dataset, data_root=data_root, cache=cache)
    classes = spec.classes if spec else run.evaluation.classes or run.classes
    with faults.part():
        resolved = resolve_architecture(replace(run, classes=classes), files=data)
    faults.raise_any()
    assert spec is not None
    if not data:
        return resolved, spec
    train_data, eval_data = (spec.fingerprint(one, images=images) for one in ("train", split))
    return replace(resolved, train_data=train_data, eval_data=eval_data), spec


def resolve_slots(run: Run) -> Run:
    """Return the run with the options of every slot written out, without a look at any file.

    Raises:
        SpecError: all that can be said against slots and settings one by one.
    """
    side = fact_of(run, "nms", "image_size_option")
    if side is not None:  # some NMS count pixels of the input, whose size is another slot's
        run = replace(run, nms={side: run.image_size, **run.nms})
    faults = Faults()
    slots = faults.read_each(
        {slot: partial(resolve, slot, components(slot), getattr(run, slot)) for slot in OWN}
    )
    with faults.part():
        _check_settings(run)
    faults.raise_any()
    return replace(run, **slots)


def with_later(run: Run) -> Run:
    """Return a resolved run with the options too that its digests leave out at their default."""
    choices = {}
    for slot in OWN:
        component = find_component(components(slot), choice := getattr(run, slot))
        if component is not None and (later := fact(component, "later")):
            defaults = defaults_of(component)
            choices[slot] = {option: defaults[option] for option in later} | choice
    return replace(run, **choices)


def can_replay(run: Run) -> bool:
    """Return whether a stored forward pass holds all that the run's detection looks at.

    It holds no feature maps, so a network that re-scores from them must run with the detector.
    """
    needs_net = fact_of(run, "rescore", "needs_net")
    return not (needs_net and fact_of(run, "rescore_net", "needs_features"))


def component_of(run: Run, slot: str) -> Callable[..., Any]:
    """Return the component that a run chooses in a slot, bound to its options."""
    return pick(slot, components(slot), getattr(run, slot))


def fact_of(run: Run, slot: str, name: str) -> Any:  # noqa: ANN401
    """Return a fact of the component that a run chooses in a slot, None where it has none such."""
    return fact(find_component(components(slot), getattr(run, slot)), name)


def in_effect(run: Run) -> Run:
    """Return a resolved run with what its choices come to, where several may come to the same.

    Its digests are of no use but to compare: runs that are the same have equal ones.
    """
    blocks = fact_of(run, "backbone", "blocks")
    placed = None if blocks is None else sorted(component_of(run, "dcn")(blocks))
    freeze = component_of(run, "batch_norm")
    return replace(
        run,
        # Components keep one another's options, so that several may have the same anchors.
        anchors={"shapes": component_of(run, "anchors")()},
        dcn=run.dcn if placed is None else {"placed": placed},
        deform={} if placed == [] else run.deform,
        batch_norm={"frozen": freeze(run.schedule["batch_size"])},
    )


def _check_settings(run: Run) -> None:
    faults = Faults()
    if run.precision not in TRAINING_PRECISIONS:
        near = hint(run.precision, TRAINING_PRECISIONS)
        faults.add(SpecError(f"precision: no precision is named {run.precision!r}{near}"))
    if not run.classes:
        remedy = "name categories in its annotation file"
        faults.add(SpecError(f"classes: the data set has none; {remedy}"))
    for name in run.evaluation.classes if run.classes else ():
        if name not in run.classes:
            near = hint(name, run.classes)
            faults.add(SpecError(f"evaluation.classes: no class is named {name!r}{near}"))
    faults.raise_any()


def _check_together(run: Run) -> None:
    """Refuse choices that cannot work together, naming both."""
    most, kept = run.evaluation.max_dets, run.nms.get("max_detections")
    if isinstance(kept, int) and kept < most > COCO_OPTIONS.max_dets:
        raise SpecError(
            f"evaluation.max_dets: {most} detections count, but {run.nms['name']} keeps at most "
            f"{kept} of an image; write nms.max_detections: {most} too, or a smaller max_dets"
        )
    if not fact_of(run, "rescore_net", "makes_nothing"):
        return
    for slot in ("rescore", "mask_iou_loss"):
        if fact_of(run, slot, "needs_net"):
            nets = alternatives("rescore_net", lambda make: not fact(make, "makes_nothing"))
            without = alternatives(slot, lambda component: not fact(component, "needs_net"))
            raise SpecError(
                f"{slot}: {getattr(run, slot)['name']} needs a network that predicts mask quality, "
                f"but rescore_net is {run.rescore_net['name']}; write {nets}, or {without}"
            )
