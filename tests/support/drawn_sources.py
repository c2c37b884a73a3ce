"""One scene as each format that is converted would hold it."""

import base64
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 40, 60
# Class, left, top, right and bottom of each object, px; whole, so that outline and pixels agree.
SCENES = {
    "train": {"one": (("car", 4, 5, 20, 17), ("person", 30, 10, 44, 36))},
    "val": {"two": (("person", 8, 2, 18, 30),), "three": (("car", 25, 20, 55, 35),)},
}
Box = tuple[str, int, int, int, int]


def outline(box: Box) -> list[tuple[float, float]]:
    _, left, top, right, bottom = box
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def bitmap(box: Box) -> np.ndarray:
    _, left, top, right, bottom = box
    pixels = np.zeros((HEIGHT, WIDTH), bool)
    pixels[top:bottom, left:right] = True
    return pixels


def save(path: Path, pixels: np.ndarray, *, palette: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels, mode="P") if palette else Image.fromarray(pixels)
    if palette:
        image.putpalette([number * 37 % 256 for number in range(768)])
    image.save(path)


def photo(path: Path) -> None:
    """Write an image that no other name has."""
    save(path, np.full((HEIGHT, WIDTH, 3), sum(path.name.encode()) % 256, np.uint8))


def numbers(boxes: tuple[Box, ...], first: int = 1) -> np.ndarray:
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for number, box in enumerate(boxes, start=first):
        pixels[bitmap(box)] = number
    return pixels


def yolo(folder: Path) -> Path:
    for split, images in SCENES.items():
        for stem, boxes in images.items():
            photo(folder / split / "images" / f"{stem}.jpg")
            lines = [
                " ".join(
                    ["01"[box[0] == "car"], *(f"{x / WIDTH} {y / HEIGHT}" for x, y in outline(box))]
                )
                for box in boxes
            ]
            file = folder / split / "labels" / f"{stem}.txt"
            file.parent.mkdir(exist_ok=True)
            file.write_text("\n".join(lines) + "\n")
    # As Roboflow writes it: the paths count from a folder inside this one.
    text = "train: ../train/images\nval: ../val/images\nnc: 2\nnames: [person, car]\n"
    (folder / "data.yaml").write_text(text)
    return folder


def labelme(folder: Path) -> Path:
    for split, images in SCENES.items():
        for stem, boxes in images.items():
            photo(folder / split / f"{stem}.jpg")
            shapes = [_labelme_shape(place, box) for place, box in enumerate(boxes)]
            shapes.append({"label": "car", "points": [[1, 1]], "shape_type": "point"})
            content = {"version": "5.5.0", "imagePath": f"..\\{split}\\{stem}.jpg"}
            (folder / split / f"{stem}.json").write_text(json.dumps(content | {"shapes": shapes}))
    return folder


def _labelme_shape(place: int, box: Box) -> dict[str, object]:
    label, left, top, right, bottom = box
    shape: dict[str, object] = {"label": label, "group_id": None, "flags": {}}
    if label == "person":
        return shape | {"shape_type": "rectangle", "points": [[right, bottom], [left, top]]}
    if place == 0 and left > 20:
        buffer = io.BytesIO()
        Image.fromarray(np.full((bottom - top, right - left), 1, np.uint8)).save(buffer, "PNG")
        mask = base64.b64encode(buffer.getvalue()).decode()
        corners = [[left, top], [right - 1, bottom - 1]]
        return shape | {"shape_type": "mask", "points": corners, "mask": mask}
    return shape | {"shape_type": "polygon", "points": [list(point) for point in outline(box)]}


def voc(folder: Path, *, xml: bool = True) -> Path:
    for split, images in SCENES.items():
        for stem, boxes in images.items():
            photo(folder / "JPEGImages" / f"{stem}.jpg")
            objects = numbers(boxes)
            kinds = np.zeros_like(objects)
            for box in boxes:
                kinds[bitmap(box)] = 7 if box[0] == "car" else 15  # numbers of Pascal's classes
            for pixels in (objects, kinds):
                pixels[:2, :] = 255
            save(folder / "SegmentationObject" / f"{stem}.png", objects, palette=True)
            save(folder / "SegmentationClass" / f"{stem}.png", kinds, palette=True)
            if xml:
                body = "".join(f"<object><name>{box[0]}</name></object>" for box in boxes)
                file = folder / "Annotations" / f"{stem}.xml"
                file.parent.mkdir(exist_ok=True)
                file.write_text(f"<annotation>{body}</annotation>")
        names = folder / "ImageSets" / "Segmentation" / f"{split}.txt"
        names.parent.mkdir(parents=True, exist_ok=True)
        names.write_text("\n".join(images) + "\n")
    return folder


def voc_without_xml(folder: Path) -> Path:
    return voc(folder, xml=False)


def cityscapes(folder: Path) -> Path:
    for split, images in SCENES.items():
        for stem, boxes in images.items():
            photo(folder / "leftImg8bit" / split / "ulm" / f"{stem}_leftImg8bit.png")
            pixels = np.full((HEIGHT, WIDTH), 7, np.int32)  # road, which has no objects
            for place, box in enumerate(boxes):
                pixels[bitmap(box)] = (26 if box[0] == "car" else 24) * 1000 + place
            file = folder / "gtFine" / split / "ulm" / f"{stem}_gtFine_instanceIds.png"
            save(file, pixels.astype(np.uint16))
    return folder


def masks_by_class(folder: Path) -> Path:
    for split, images in SCENES.items():
        for stem, boxes in images.items():
            photo(folder / "images" / split / f"{stem}.jpg")
            for label in {box[0] for box in boxes}:
                mine = tuple(box for box in boxes if box[0] == label)
                save(folder / "masks" / split / label / f"{stem}.png", numbers(mine, first=3))
    return folder


SOURCES: Mapping[str, tuple[str, Callable[[Path], Path]]] = {
    "yolo": ("yolo", yolo),
    "labelme": ("labelme", labelme),
    "voc": ("voc", voc),
    "voc without XML": ("voc", voc_without_xml),
    "cityscapes": ("cityscapes", cityscapes),
    "masks": ("masks", masks_by_class),
}
