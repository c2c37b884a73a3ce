"""One COCO annotation file cut into training, validation and test files, by a seed."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yolact_bench.coco_content import entries_of, read_coco
from yolact_bench.coco_fields import whole_number
from yolact_bench.conversion.convert import CocoFiles, dataset_yaml, require_new
from yolact_bench.errors import Mistakes, SpecError
from yolact_bench.image_files.scan import scan_images
from yolact_bench.results.files import atomic_folder


def cut(
    annotations: Path,
    images: Path,
    out: Path,
    *,
    val: float,
    test: float = 0.0,
    seed: int = 0,
    group: str = "",
) -> CocoFiles:
    """Write the images of a file as two or three files into the new folder `out`.

    `val` and `test` are fractions of the images, met to within a group. `group` is a regular
    expression of file names: images of which it finds the same text, or the same groups in
    parentheses, stay together, as frames of one video must. Copies of one file always do. The
    same seed gives the same split, whatever the order of the file.

    Raises:
        SpecError: a malformed file, a wrong fraction or expression, or a split without an image.
    """
    require_new(out)
    if not (0 < val < 1 and 0 <= test < 1 and val + test < 1):
        raise SpecError(f"--val {val}, --test {test}: write fractions whose sum is below 1")
    content = read_coco(annotations)
    mistakes = Mistakes(annotations)
    pictures, objects, _ = (
        entries_of(content, key, mistakes) for key in ("images", "annotations", "categories")
    )
    mistakes.raise_any()
    names = [str(one.get("file_name")) if isinstance(one, dict) else "" for one in pictures]
    if not names or "" in names or "None" in names:
        raise SpecError(f"{annotations}: 'images' without a file_name; write it")
    if len({_key(one.get("id")) for one in pictures}) < len(pictures):
        raise SpecError(f"{annotations}: 'images' without an id of its own each; write it")
    parts = _assign(_groups(names, images, group), {"val": val, "test": test}, seed)
    splits = {
        split: _part(content, [pictures[index] for index in rows]) for split, rows in parts.items()
    }
    rest = len(objects) - sum(len(part["annotations"]) for part in splits.values())
    files = {split: f"annotations/instances_{split}.json" for split in splits}
    with atomic_folder(out.absolute()) as partial:
        (partial / "annotations").mkdir()
        for split, part in splits.items():
            (partial / files[split]).write_text(json.dumps(part), encoding="utf-8")
        text = dataset_yaml(out, {split: (images, files[split]) for split in files})
        (partial / "dataset.yaml").write_text(text, encoding="utf-8")
    return CocoFiles(
        annotations={split: out / file for split, file in files.items()},
        counts={k: (len(one["images"]), len(one["annotations"])) for k, one in splits.items()},
        dataset_yaml=out / "dataset.yaml",
        images=dict.fromkeys(splits, images),
        left_out={"annotation of no image": rest} if rest else {},
    )


def _groups(names: Sequence[str], images: Path, pattern: str) -> dict[str, list[int]]:
    """Return the rows of the images that must stay together, by the first name among them."""
    expression = _compile(pattern)
    first: dict[str, int] = {}  # group or content → the first row that has it
    leader = list(range(len(names)))

    def top(row: int) -> int:
        while leader[row] != row:
            row = leader[row]
        return row

    files = scan_images(images, names, cache=None)
    if not any(file.sample for file in files):
        raise SpecError(f"--images {images}: has none of the images of the file; name their folder")
    for row, (name, file) in enumerate(zip(names, files, strict=True)):
        match = expression.search(name) if pattern else None
        if pattern and match is None:
            raise SpecError(f"--group {pattern!r}: not found in {name!r}; write one that fits all")
        keys = [f"file {file.sample}"] if file.sample else []
        keys += [f"group {match.groups() or match[0]}"] if match else []
        for key in keys:
            leader[top(row)] = top(first.setdefault(key, row))
    groups: dict[int, list[int]] = {}
    for row in range(len(names)):
        groups.setdefault(top(row), []).append(row)
    return {min(names[row] for row in rows): rows for rows in groups.values()}


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise SpecError(f"--group {pattern!r}: not a regular expression ({error})") from error


def _assign(
    groups: Mapping[str, list[int]], fractions: Mapping[str, float], seed: int
) -> dict[str, list[int]]:
    """Return the rows of each split; seed and names decide, so new images move few others."""

    def draw(name: str) -> bytes:
        return hashlib.sha256(f"{seed} {name}".encode(errors="surrogatepass")).digest()

    order = sorted(groups, key=draw)
    total = sum(len(rows) for rows in groups.values())
    parts: dict[str, list[int]] = {"train": []}
    for split, fraction in fractions.items():
        wanted = fraction * total
        part: list[int] = []
        while fraction and order and len(part) + len(groups[order[0]]) / 2 <= wanted:
            part += groups[order.pop(0)]
        if fraction:
            parts[split] = sorted(part)
    parts["train"] = sorted(row for name in order for row in groups[name])
    for split, rows in parts.items():
        if not rows:
            raise SpecError(
                f"--{split}: no image is left for it ({total} in {len(groups)} groups); write "
                "another fraction, or smaller groups"
            )
    return parts


def _part(content: Mapping[str, Any], images: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the file with these images alone; every entry as it is."""
    wanted = {_key(one.get("id")) for one in images}
    kept = [
        one
        for one in content["annotations"]
        if isinstance(one, dict) and _key(one.get("image_id")) in wanted
    ]
    return {**content, "images": list(images), "annotations": kept}


def _key(value: object) -> object:
    """Return an id for comparison: 7, 7.0 and "7" are one."""
    number = whole_number(value)
    return str(value) if number is None else number
