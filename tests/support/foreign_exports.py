"""The same drawn scenes as annotation tools export them, each with the clean file they mean.

One file: an export and its clean form must describe one scene.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

HEIGHT, WIDTH, IMAGES = 72, 96, 6
CLASSES = ("bolt", "nut")
SPLITS = {"train": 0, "val": 100}  # split → number of its first scene
Content = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A folder as a tool leaves it, and what its validation split means."""

    dataset_yaml: Path
    clean: Content  # the validation split as a COCO file without any fault
    images: Path  # folder of the validation images
    findings: frozenset[str]  # kinds of the validation split


def outlines(scene: int) -> list[tuple[int, list[float]]]:
    """Return class → flat outline of the two objects of a scene: a rectangle and a triangle."""
    left, top = 6.0 + scene % 7, 8.0 + scene % 5
    right = left + 30
    bolt = [left, top, right, top, right, top + 24, left, top + 24]
    nut = [52.0, 30 + top, 86.0, 30 + top, 69.0, top]
    return [(0, bolt), (1, nut)]


def picture(scene: int) -> np.ndarray:
    """Return the scene as pixels, BGR."""
    image = np.random.default_rng(scene).integers(0, 60, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for label, flat in outlines(scene):
        corners = np.array(flat).reshape(-1, 2).round().astype(np.int32)
        cv2.fillPoly(image, [corners], ((40, 60, 220), (60, 220, 40))[label])
    return image


def _box(flat: list[float]) -> list[float]:
    x, y = flat[0::2], flat[1::2]
    return [min(x), min(y), max(x) - min(x), max(y) - min(y)]


def _area(flat: list[float]) -> float:
    x, y = np.array(flat[0::2]), np.array(flat[1::2])
    return float(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2)


def clean(split: str) -> Content:
    """Return the scenes of a split as a COCO file without any fault."""
    images: list[Content] = []
    annotations: list[Content] = []
    for number in range(IMAGES):
        name = f"{number}.png"
        images.append({"id": number + 1, "file_name": name, "height": HEIGHT, "width": WIDTH})
        annotations += [
            {
                "id": len(annotations) + place,
                "image_id": number + 1,
                "category_id": label + 1,
                "bbox": _box(flat),
                "area": _area(flat),
                "iscrowd": 0,
                "segmentation": [flat],
            }
            for place, (label, flat) in enumerate(outlines(SPLITS[split] + number), start=1)
        ]
    categories = [{"id": n, "name": name} for n, name in enumerate(CLASSES, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def run_lengths(flat: list[float]) -> Content:
    """Return an outline as an uncompressed RLE."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillPoly(mask, [np.array(flat).reshape(-1, 2).round().astype(np.int32)], 1)
    column = np.concatenate([[0], mask.T.ravel(), [2]])
    starts = np.flatnonzero(np.diff(column))
    edges = np.concatenate([[0] if column[1] == 0 else [0, 0], starts[starts > 0]])
    return {"size": [HEIGHT, WIDTH], "counts": np.diff(edges).tolist()}


def roboflow(folder: Path) -> Export:
    """Ids from 0, a category 0 above all others, annotations beside the images."""
    for split, name in (("train", "train"), ("val", "valid")):
        content = clean(split)
        for image in content["images"]:
            image["id"] -= 1
            image["file_name"] = f"part_{image['id']}_png.rf.0a1b2c3d4e5f{image['id']}.jpg"
            image |= {"license": 1, "date_captured": "2026-01-02T03:04:05+00:00"}
        for one in content["annotations"]:
            one["id"] -= 1
            one["image_id"] -= 1
        above = {"id": 0, "name": "parts", "supercategory": "none"}
        named = [{**category, "supercategory": "parts"} for category in content["categories"]]
        content["categories"] = [above, *named]
        content |= {"info": {"year": "2026", "version": "1"}, "licenses": [{"id": 1, "url": ""}]}
        _write(folder / name / "_annotations.coco.json", content)
        _draw(folder / name, split, content)
    text = _yaml("train", "train/_annotations.coco.json", "valid", "valid/_annotations.coco.json")
    wanted = frozenset({"category left out"})
    return _export(folder, text, folder / "valid", wanted, first=0)


def cvat_masks(folder: Path) -> Export:
    """Every third object is a mask of the brush: run lengths, exported as a crowd."""
    meant: Content = {}
    for split in SPLITS:
        content = clean(split)
        for number, one in enumerate(content["annotations"]):
            one["attributes"] = {"occluded": False}
            if number % 3 == 0:
                one["segmentation"] = run_lengths(one["segmentation"][0])
                one["iscrowd"] = 1
        for image in content["images"]:
            image["file_name"] = f"frame_{image['id']:06d}.PNG"
            image |= {"license": 0, "flickr_url": "", "coco_url": "", "date_captured": 0}
        for category in content["categories"]:
            category["supercategory"] = ""
        content |= {"licenses": [{"name": "", "id": 0, "url": ""}], "info": {"contributor": ""}}
        _write(folder / "annotations" / f"instances_{split}.json", content)
        _draw(folder / "images" / split, split, content)
        meant = content
    text = _yaml(
        *("images/train", "annotations/instances_train.json"),
        *("images/val", "annotations/instances_val.json"),
    )
    return Export(
        dataset_yaml=_write_yaml(folder, text),
        clean=meant,
        images=folder / "images" / "val",
        findings=frozenset(),
    )


def labelme2coco(folder: Path) -> Export:
    """Category ids from 0, pictures in subfolders, whole areas, no `info`."""
    for split in SPLITS:
        content = clean(split)
        for image in content["images"]:
            image["file_name"] = f"camera {image['id'] % 2}/{image['file_name']}"
        for one in content["annotations"]:
            one["category_id"] -= 1
            one["area"] = int(one["area"])
        for category in content["categories"]:
            category["id"] -= 1
            category["supercategory"] = category["name"]
        _write(folder / f"{split}.json", content)
        _draw(folder / "pictures" / split, split, content)
    text = _yaml("pictures/train", "train.json", "pictures/val", "val.json")
    export = _export(folder, text, folder / "pictures" / "val", frozenset())
    for one in export.clean["annotations"]:
        one["area"] = int(one["area"])
    return export


def label_studio(folder: Path) -> Export:
    """Names as Windows writes them, ids from 0, `ignore` beside `iscrowd`."""
    for split in SPLITS:
        content = clean(split)
        for image in content["images"]:
            image["id"] -= 1
            image["file_name"] = f"images\\4f{image['id']}e1b2c-{image['file_name']}"
        for one in content["annotations"]:
            one |= {"id": one["id"] - 1, "image_id": one["image_id"] - 1, "ignore": 0}
            one["category_id"] -= 1
        for category in content["categories"]:
            category["id"] -= 1
        content["info"] = {"year": 2026, "contributor": "Label Studio", "url": ""}
        _write(folder / split / "result.json", content)
        _draw(folder / split / "images", split, content)
    text = _yaml("train/images", "train/result.json", "val/images", "val/result.json")
    return _export(folder, text, folder / "val" / "images", frozenset({"image name read"}), first=0)


def hand_made(folder: Path) -> Export:
    """Every oddity at once: what can be meant is kept, two annotations cannot be used."""
    for split in SPLITS:
        content = clean(split)
        _spoil(content)
        _write(folder / f"{split}.json", content, start="\ufeff")
        _draw(folder / split, split, content)
    export = _export(folder, _yaml("train", "train.json", "val", "val.json"), folder / "val", _ODD)
    unusable = {id(one) for one in export.clean["annotations"][8:10]}
    kept = [one for one in export.clean["annotations"] if id(one) not in unusable]
    export.clean["annotations"] = kept
    return export


_ODD = frozenset({"area computed", "image name read"})


def _spoil(content: Content) -> None:
    annotations = content["annotations"]
    flat = annotations[4]["segmentation"][0]
    for number, change in enumerate(
        (
            {"area": None},
            {"area": "320.0", "iscrowd": None},
            {"area": -5, "iscrowd": "0"},
            {"segmentation": [[1, 1, 2, 2], annotations[3]["segmentation"][0]]},
            {"segmentation": flat},
            {"bbox": None},
            {"id": 1},
            {"iscrowd": False, "area": float("nan")},
            {"segmentation": None},
            {"segmentation": []},
        )
    ):
        annotations[number] |= change
    content["categories"].insert(0, {"id": 0, "name": "things", "supercategory": ""})
    for category in content["categories"][1:]:
        category["supercategory"] = "things"
    names = {1: "my%20photo.png", 2: "2.PNG", 3: "/data/upload/1/3.png", 4: "pictures\\4.png"}
    for image in content["images"]:
        image["file_name"] = names.get(image["id"], f"{image['id']}.png")
        image["width"] = str(WIDTH)
    for entry in (*content["images"], *annotations, *content["categories"]):
        entry["id"] = str(entry["id"])


EXPORTS: Mapping[str, Callable[[Path], Export]] = {
    "Roboflow": roboflow,
    "CVAT with masks": cvat_masks,
    "labelme2coco": labelme2coco,
    "Label Studio": label_studio,
    "hand-made": hand_made,
}


def _export(
    folder: Path, text: str, images: Path, findings: frozenset[str], first: int = 1
) -> Export:
    """An export whose repaired file is the clean one, but for where its ids begin."""
    content = clean("val")
    for image in content["images"]:
        image["id"] += first - 1
    for one in content["annotations"]:
        one["image_id"] += first - 1
    return Export(
        dataset_yaml=_write_yaml(folder, text), clean=content, images=images, findings=findings
    )


def _draw(folder: Path, split: str, content: Content) -> None:
    """Write the pictures under the names that the tool would give them on disk."""
    for number, image in enumerate(content["images"]):
        name = image["file_name"].replace("\\", "/").replace("%20", " ")
        if name.startswith(("/data", "pictures", "images")):
            name = name.rsplit("/", 1)[1]
        path = folder / (name.lower() if name == "2.PNG" else name)
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), picture(SPLITS[split] + number))


def _write(path: Path, content: Content, start: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(start + json.dumps(content), encoding="utf-8")


def _yaml(train: str, train_file: str, val: str, val_file: str) -> str:
    return (
        f'train: {{images: "{train}", annotations: "{train_file}"}}\n'
        f'val: {{images: "{val}", annotations: "{val_file}"}}\n'
    )


def _write_yaml(folder: Path, text: str) -> Path:
    path = folder / "dataset.yaml"
    path.write_text(text)
    return path
