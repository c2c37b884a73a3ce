"""What a work directory knows of the images of its data, beside the digests of its work."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from runners.units.unit import Unit
from runners.units.workplace import Workplace
from yolact_bench.dataset_spec.dataset import DatasetSpec
from yolact_bench.dataset_spec.images import recall
from yolact_bench.errors import SpecError
from yolact_bench.findings import kinds_read_otherwise
from yolact_bench.resolve import resolve_run
from yolact_bench.results.files import write_atomically
from yolact_bench.spec.run import Run
from yolact_bench.work_names import CHECKPOINTS, IMAGES, RESULTS, RUN

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownImages:
    """Digests of the images of a split; "" where they were not taken."""

    samples: str = ""  # of work that began before images were part of its fingerprint
    contents: str = ""  # of all bytes, by --hash-images


_FILE = TypeAdapter(dict[str, KnownImages])  # by fingerprint


def resolve_in(
    place: Workplace | None,
    run: Run,
    *,
    data_root: Path | None,
    split: str = "val",
    data: bool = True,
) -> tuple[Run, DatasetSpec]:
    """Return a run and its data set as the work directory of `place` knows them.

    Without a place, or one that keeps nothing, no image is looked at and the digest is not final.
    Work that began when annotations alone identified data keeps its fingerprints, as long as the
    images are those that this was first noticed with.

    Raises:
        SpecError: as `resolve_run`; or images that have changed in secret, for `hash_images`.
    """
    cache = None if place is None else place.cache
    resolved, spec = resolve_run(
        run, data_root=data_root, split=split, data=data, cache=cache, images=cache is not None
    )
    if not data or place is None or cache is None or spec.drawn:
        return resolved, spec
    train, val = (
        _fingerprint(spec, one, own, place)
        for one, own in (("train", resolved.train_data), (split, resolved.eval_data))
    )
    return replace(resolved, train_data=train, eval_data=val), spec


def unrecorded_images(units: Iterable[Unit], place: Workplace) -> tuple[str, ...]:
    """Return data set and split of units whose work began before images were recorded."""
    known = _read(place.work_dir / IMAGES)
    names = (
        (f"{unit.data.name} {split}", known.get(fingerprint))
        for unit in units
        for split, fingerprint in (("train", unit.run.train_data), (unit.split, unit.eval_data))
    )
    return tuple(dict.fromkeys(name for name, entry in names if entry and entry.samples))


def _fingerprint(data: DatasetSpec, split: str, own: str, place: Workplace) -> str:
    key = str(place.work_dir), place.hash_images, own
    return recall(key, lambda: _known_as(data, split, own, place))


def _known_as(data: DatasetSpec, split: str, own: str, place: Workplace) -> str:
    """Return the fingerprint under which the work directory has the split, `own` if it is new."""
    file, files = place.work_dir / IMAGES, data.split(split)
    title = f"{data.name} {split}"
    known, news = _read(file), dict[str, KnownImages]()
    earlier = data.fingerprint(split, images=False)
    samples = files.images_digest(data.cache)
    if earlier not in known and _is_mentioned(earlier, place.work_dir):
        entry, note = _take_over(data, split, place, samples)
        known = known | (news := {earlier: entry})
        log.warning("%s: the work in %s %s", title, place.work_dir, note)
    elif earlier in known and known[earlier].samples not in ("", samples):
        log.warning("%s: its images have changed; earlier results are of others", title)
    if earlier in known and known[earlier].samples == samples:
        own = earlier
    if place.hash_images:
        contents = files.images_digest(data.cache, whole=True)
        entry = known.get(own, KnownImages())
        if entry.contents not in ("", contents):
            raise SpecError(
                f"{title}: images in {data.split(split).files[0]} have changed, though not in size "  # type: ignore[index]
                "and ends; put them back, or write another --work-dir"
            )
        news[own] = replace(entry, contents=contents)
        log.info("%s: SHA-256 of all images %s", title, contents)
    recorded = _read(file)  # again: another command may have written while images were read
    if recorded | news != recorded:
        write_atomically(file, _FILE.dump_json(recorded | news, indent=1) + b"\n")
    return own


def _take_over(
    data: DatasetSpec, split: str, place: Workplace, samples: str
) -> tuple[KnownImages, str]:
    """Return what is known of a split whose work goes on, or does not, and a note that says so."""
    try:
        findings = place.datasets.open(data, split).findings
    except SpecError:  # it says so where the split is needed
        findings = ()
    if kinds := kinds_read_otherwise(findings):
        return KnownImages(), (
            f"read its annotations or images otherwise ({', '.join(kinds)}): it is done "
            "again, and --weights takes the earlier weights"
        )
    note = "is older than the record of images; it goes on with those that are there now"
    return KnownImages(samples=samples), note


def _is_mentioned(fingerprint: str, work_dir: Path) -> bool:
    """Return whether a training or a record is of that data."""
    files = [work_dir / RESULTS, *(work_dir / CHECKPOINTS).glob(f"*/{RUN}")]
    return any(file.is_file() and fingerprint.encode() in file.read_bytes() for file in files)


def _read(file: Path) -> dict[str, KnownImages]:
    if not file.is_file():
        return {}
    try:
        return _FILE.validate_json(file.read_bytes(), strict=False)
    except ValidationError as error:
        raise SpecError(
            f"{file} is damaged: {error.errors()[0]['msg']}; remove it to have the images that are "
            "there now taken for those of earlier work"
        ) from error
