"""A run: everything that decides a result, and the digests by which work is shared."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from typing import Any

from yolact_bench.errors import Faults, SpecError, brief, hint
from yolact_bench.evaluation import COCO_OPTIONS, Evaluation, read_evaluation
from yolact_bench.option_values import check_value
from yolact_bench.ranges import ImageSize, Seed
from yolact_bench.slots import Choice

# Raise an integer when what its phase computes changes: old work is then not reused.
TRAINING_VERSION = 1
FORWARD_VERSION = 1
DETECTION_VERSION = 1

ARCHITECTURE = (
    *("backbone", "dcn", "fpn", "protonet", "anchors", "head"),
    *("rescore_net", "image_size", "classes"),
)
TRAINING = (
    *("augment", "matcher", "class_loss", "box_loss", "mask_loss", "semantic_loss"),
    *("mask_iou_loss", "schedule", "init", "batch_norm", "precision", "seed"),
)
DETECTION = ("nms", "rescore", "assembly")
MEASUREMENT = ("runtime", "deform")
FILLED_IN = ("train_data", "eval_data", "packages")  # by resolving, never by a spec
_IF_ANY = ("evaluation", "packages")  # left out of plain data where they say nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The full choice of every slot and setting. Immutable; arms are made with `changed`."""

    # architecture
    backbone: Choice
    dcn: Choice
    fpn: Choice
    protonet: Choice
    anchors: Choice
    head: Choice
    rescore_net: Choice
    image_size: ImageSize  # side of the square input, px
    classes: tuple[str, ...]  # from the data set, in label order
    # training
    dataset: Choice  # enters the digests by its fingerprints, never by its path
    augment: Choice
    matcher: Choice
    class_loss: Choice
    box_loss: Choice
    mask_loss: Choice
    semantic_loss: Choice
    mask_iou_loss: Choice
    schedule: Choice
    init: Choice
    batch_norm: Choice
    precision: str  # of training: fp32, bf16 or fp16
    seed: Seed
    # detection
    nms: Choice
    rescore: Choice
    assembly: Choice
    evaluation: Evaluation = COCO_OPTIONS
    # measurement
    runtime: Choice
    deform: Choice
    # fingerprints of the data, filled in when the data set is resolved
    train_data: str = ""
    eval_data: str = ""
    # slot → package and version of a component that another package offers; filled in likewise
    packages: Mapping[str, str] = field(default_factory=dict)

    @property
    def train_digest(self) -> str:
        """Identity of the checkpoint: architecture, training and training data."""
        slots = {name: getattr(self, name) for name in ARCHITECTURE + TRAINING}
        # A weight file is identified by its contents, where they were read, and not by its path.
        by_content = "sha256" in self.init
        init = {k: value for k, value in self.init.items() if k != "file" or not by_content}
        training = {**slots, "init": init, "train_data": self.train_data}
        packages = self._packages(ARCHITECTURE + TRAINING)
        return _sha256({"version": TRAINING_VERSION, **training, **packages})

    @property
    def forward_digest(self) -> str:
        """Identity of the network's outputs on the evaluation data."""
        return _sha256(self._forward())

    @property
    def detect_digest(self) -> str:
        """Identity of the detections and their scores."""
        detection = {name: getattr(self, name) for name in DETECTION}
        versions = {"detect": DETECTION_VERSION, **self._packages(DETECTION, "of detection")}
        options = {"evaluation": self.evaluation.changes} if self.evaluation != COCO_OPTIONS else {}
        return _sha256({**self._forward(), **versions, "detection": detection, **options})

    def changed(self, changes: Mapping[str, object]) -> "Run":
        """Return this run with `changes`: slot → whole choice, or slot.option → value.

        Raises:
            SpecError: unknown slot, an option given to a setting that has none, or a value of
                another type than the setting's.
        """
        run = self
        settable = {f.name: f for f in fields(Run) if f.name not in FILLED_IN}
        for path, value in changes.items():
            slot, _, option = path.partition(".")
            if slot not in settable:
                raise SpecError(f"no slot is named {brief(slot)}{hint(slot, settable)}")
            choice = _with_option(slot, getattr(run, slot), option, value) if option else value
            run = replace(run, **{slot: _setting(settable[slot].type, choice)})  # type: ignore[arg-type]
        return run

    def as_dict(self) -> dict[str, object]:
        """Return plain data that `from_dict` reads back."""
        plain = {"classes": list(self.classes), "evaluation": self.evaluation.changes}
        data = {**asdict(self), **plain}
        return {key: value for key, value in data.items() if value or key not in _IF_ANY}

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> "Run":
        """Return the run written by `as_dict`.

        Raises:
            SpecError: missing or unknown keys, or a value of the wrong type.
        """
        faults = Faults()
        values = read_values(data, faults)
        faults.raise_any()
        return cls(**values)

    def _forward(self) -> dict[str, object]:
        slots = {name: getattr(self, name) for name in MEASUREMENT}
        versions = {"train": self.train_digest, "forward": FORWARD_VERSION}
        data = {**versions, "eval_data": self.eval_data}
        return {**data, **slots, **self._packages(MEASUREMENT)}

    def _packages(self, slots: Iterable[str], key: str = "packages") -> dict[str, object]:
        """What of a digest's content names other packages; nothing where all is ours."""
        packages = {slot: self.packages[slot] for slot in slots if slot in self.packages}
        return {key: packages} if packages else {}


def read_values(data: Mapping[str, object], faults: Faults) -> dict[str, Any]:
    """Return the values of slots and settings that `Run.as_dict` wrote, without wrong ones."""
    known = {f.name: f for f in fields(Run)}
    unknown = [key for key in data if key not in known]
    for key in unknown:
        faults.add(SpecError(f"run: no slot is named {brief(key)}{hint(key, known)}"))
    missing = [name for name in known if name not in data and name not in _IF_ANY]
    if missing and not unknown:  # one of these may be what is missing
        names = ", ".join(missing)
        remedy = "write them as in a run.yaml of `yolact-bench train`"
        faults.add(SpecError(f"run: {names} missing; {remedy}"))
    values = {name: value for name, value in data.items() if name in FILLED_IN}
    settings = {name: data[name] for name in known if name in data and name not in FILLED_IN}
    return values | faults.read_each(
        {
            name: partial(_setting, known[name].type, value, where=f"run: {name}: ")
            for name, value in settings.items()
        }
    )


def _with_option(slot: str, current: object, option: str, value: object) -> object:
    if isinstance(current, Evaluation):
        current = current.changes
    if not isinstance(current, Mapping):
        raise SpecError(
            f"{slot} is a single value, it has no option {brief(option)}; write {slot} alone"
        )
    return {**current, option: value}


def _setting(expected: object, value: object, *, where: str = "") -> object:
    """Return the value of a slot or setting, as its annotation wants it."""
    if expected is Evaluation:
        return read_evaluation(value, where=where)
    if expected != Choice:
        checked = check_value(expected, value, where=where)
        return tuple(checked) if isinstance(checked, list) else checked
    if isinstance(value, str):
        return {"name": value}  # `nms: fast` is short for `nms: {name: fast}`
    if not isinstance(value, Mapping) or "name" not in value:
        raise SpecError(f"{where}expected a name or a mapping with a name, got {brief(value)}")
    return {str(key): item for key, item in value.items()}


def _sha256(payload: Mapping[str, object]) -> str:
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
