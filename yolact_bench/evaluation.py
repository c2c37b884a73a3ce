"""What COCO's evaluation counts: how many detections, which sizes of objects, which classes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import partial

from yolact_bench.errors import Faults, SpecError, brief, hint
from yolact_bench.option_values import check_value, plain
from yolact_bench.ranges import Boxes

Range = tuple[float, float]  # square pixels, ends included


@dataclass(frozen=True, slots=True, kw_only=True)
class Areas:
    """The sizes of small, medium and large objects.

    Source: pycocotools, Params.setDetParams.
    """

    small: Range = (0.0, 32.0**2)
    medium: Range = (32.0**2, 96.0**2)
    large: Range = (96.0**2, 1e10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The options of an evaluation; COCO's unless written.

    They decide scores and no detection, and are in the detect digest where they are not COCO's.
    """

    max_dets: int = 100  # of an image and class; the best ones
    areas: Areas = field(default_factory=Areas)
    classes: tuple[str, ...] = ()  # that are scored, in the order of the alphabet; none: all

    @property
    def changes(self) -> dict[str, object]:
        """The options that are not COCO's, as plain data that `read_evaluation` reads back."""
        ours, coco = asdict(self), asdict(COCO_OPTIONS)
        return {name: plain(value) for name, value in ours.items() if value != coco[name]}

    def scores(self, class_name: object) -> bool:
        """Return whether the objects and detections of a class are scored."""
        return not self.classes or str(class_name) in self.classes


COCO_OPTIONS = Evaluation()


def read_evaluation(value: object, *, where: str = "") -> Evaluation:
    """Return the options as a user writes them; those that are left out are COCO's.

    Raises:
        SpecError: an unknown option, or a value that it cannot have; `where` begins the message.
    """
    if isinstance(value, Evaluation):
        return value
    if not isinstance(value, Mapping):
        raise SpecError(f"{where}expected options such as {{max_dets: 300}}, got {brief(value)}")
    known, faults = [one.name for one in fields(Evaluation)], Faults()
    for key in value:
        if key not in known:
            message = f"evaluation has no option {brief(key)}{hint(str(key), known)}"
            faults.add(SpecError(f"{where}{message}"))
    readers = {
        "max_dets": lambda one: check_value(Boxes, one, where=f"{where}max_dets: "),
        "areas": lambda one: _areas(one, f"{where}areas"),
        "classes": lambda one: _classes(one, f"{where}classes: "),
    }
    written = {key: partial(readers[key], value[key]) for key in known if key in value}
    options = faults.read_each(written)
    faults.raise_any()
    return Evaluation(**options)


def evaluation_text(changes: Mapping[str, object]) -> str:
    """Return options that are not COCO's in words; "" where all are."""
    parts = []
    for name, value in changes.items():
        if isinstance(value, Mapping):
            ranges = (f"{size} {low:g} to {high:g}" for size, (low, high) in value.items())
            parts.append(f"{name} {', '.join(ranges)} px²")
        else:
            words = ", ".join(map(str, value)) if isinstance(value, list) else value
            parts.append(f"{name} {words}")
    return "; ".join(parts)


def crowding_text(images: int, changes: Mapping[str, object]) -> str:
    """Return what it means that so many images have more objects than detections that count."""
    most = changes.get("max_dets", COCO_OPTIONS.max_dets)
    have = "1 image has" if images == 1 else f"{images} images have"
    return (
        f"{have} more objects of a class than the {most} detections of a class that count in an "
        "image, so even a perfect detector has an AP below 100; raise evaluation.max_dets"
    )


def _areas(value: object, where: str) -> Areas:
    names = [one.name for one in fields(Areas)]
    if not isinstance(value, Mapping) or set(value) != set(names):
        example = "{small: [0, 1024], medium: [1024, 9216], large: [9216, 1e10]}"
        raise SpecError(
            f"{where}: expected all three ranges, such as {example}, got {brief(value)}"
        )
    return Areas(**{name: _range(value[name], f"{where}.{name}: ") for name in names})


def _range(value: object, where: str) -> Range:
    form = f"{where}expected [least, most] in px² from 0 on, such as [0, 1024], got {brief(value)}"
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise SpecError(form)
    low, high = value
    if not all(type(one) in (int, float) for one in value) or not 0 <= low < high <= 1e10:
        raise SpecError(form)
    return float(low), float(high)


def _classes(value: object, where: str) -> tuple[str, ...]:
    names = check_value(tuple[str, ...], value, where=where)
    assert isinstance(names, list)
    if len(set(names)) < len(names):
        raise SpecError(f"{where}a class is named twice in {brief(names)}; write each once")
    return tuple(sorted(names))
