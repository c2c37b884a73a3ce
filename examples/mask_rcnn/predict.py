"""Mask R-CNN of torchvision on a folder of images, as COCO result files.

    python predict.py --images val2017 --annotations instances_val2017.json --out results

It imports nothing of yolact-bench: any environment with torch, torchvision and pycocotools runs
it. It writes segm.json and bbox.json, COCO's result format, and latency.json, its own time.

Source: Mask R-CNN (arXiv:1703.06870); torchvision.models.detection.maskrcnn_resnet50_fpn.
"""

import argparse
import json
import logging
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from pycocotools import mask as rle
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image, read_file
from torchvision.models.detection import MaskRCNN, MaskRCNN_ResNet50_FPN_Weights
from torchvision.models.detection import maskrcnn_resnet50_fpn as mask_rcnn

log = logging.getLogger("mask_rcnn")

COCO_OUTPUTS = 91  # torchvision's COCO weights answer with category ids, 1 to 90
WARM_UP = 3  # calls before the first that is timed
MASK_THRESHOLD = 0.5

Entry = dict[str, object]


def main() -> None:
    """Write the result files."""
    options = _options()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    truth = json.loads(options.annotations.read_text(encoding="utf-8"))
    categories = sorted(int(category["id"]) for category in truth["categories"])
    model = build(options.weights, num_classes=len(categories), min_size=options.min_size)
    model = model.to(options.device).eval()
    category_of = categories_of(model, categories)
    images = sorted(truth["images"], key=lambda image: int(image["id"]))[: options.limit]

    boxes: list[Entry] = []
    masks: list[Entry] = []
    samples: list[float] = []
    for image, found, milliseconds in predictions(model, images, options.images, options.device):
        samples.append(milliseconds)
        of_boxes, of_masks = entries(found, int(image["id"]), category_of)
        boxes += of_boxes
        masks += of_masks

    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "segm.json").write_text(json.dumps(masks), encoding="utf-8")
    (options.out / "bbox.json").write_text(json.dumps(boxes), encoding="utf-8")
    reported = json.dumps(latency(samples, options.device), indent=1)
    (options.out / "latency.json").write_text(reported, encoding="utf-8")
    log.info("%d images, %d detections", len(images), len(masks))


def build(weights: str, *, num_classes: int, min_size: int) -> MaskRCNN:
    """Return the model: `weights` are torchvision's own on COCO ("default"), a file, or "none"."""
    if weights == "default":
        return mask_rcnn(weights=MaskRCNN_ResNet50_FPN_Weights.DEFAULT, min_size=min_size)
    if weights == "none":
        return mask_rcnn(
            weights=None, weights_backbone=None, num_classes=num_classes + 1, min_size=min_size
        )
    state = torch.load(weights, map_location="cpu", weights_only=True)
    outputs = len(state["roi_heads.box_predictor.cls_score.bias"])
    model = mask_rcnn(weights=None, weights_backbone=None, num_classes=outputs, min_size=min_size)
    model.load_state_dict(state)
    return model


def categories_of(model: MaskRCNN, categories: Sequence[int]) -> Mapping[int, int]:
    """Return the model's label → the data set's category id; 0 is the background.

    Raises:
        SystemExit: the model knows another number of classes than the annotations.
    """
    outputs = model.roi_heads.box_predictor.cls_score.out_features
    if outputs == len(categories) + 1:
        return dict(enumerate(categories, start=1))
    if outputs == COCO_OUTPUTS:
        return {category: category for category in categories}
    raise SystemExit(
        f"the weights know {outputs - 1} classes, the annotations {len(categories)}; "
        "give weights that were trained on this data"
    )


@torch.inference_mode()
def predictions(
    model: MaskRCNN, images: Sequence[Mapping[str, object]], folder: Path, device: str
) -> Iterator[tuple[Mapping[str, object], Mapping[str, Any], float]]:
    """Yield image, detections and milliseconds, image by image.

    Timed is end_to_end as yolact-bench means it: from the bytes of the file in memory to detections
    on the host, with masks at the size of the image as run lengths.
    """

    def detect(content: Tensor) -> dict[str, Any]:
        pixels = decode_image(content, mode=ImageReadMode.RGB)
        found = model([pixels.to(device).float() / 255])[0]
        masks = (found.pop("masks")[:, 0] >= MASK_THRESHOLD).cpu().numpy()  # [N, H, W]
        lists = {name: value.tolist() for name, value in found.items()}  # waits for a GPU, too
        regions = [rle.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in masks]
        return {**lists, "regions": regions}

    for number, image in enumerate(images):
        content = read_file(str(folder / str(image["file_name"])))
        if number == 0:
            for _ in range(WARM_UP):
                detect(content)
        found, milliseconds = timed(lambda content=content: detect(content))
        yield image, found, milliseconds


def timed(work: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], float]:
    """Return what `work` returns, and its milliseconds."""
    start = time.perf_counter()
    result = work()
    return result, 1e3 * (time.perf_counter() - start)


def entries(
    found: Mapping[str, Any], image_id: int, category_of: Mapping[int, int]
) -> tuple[list[Entry], list[Entry]]:
    """Return the box entries and the mask entries of one image, in COCO's result format."""
    of_boxes: list[Entry] = []
    of_masks: list[Entry] = []
    rows = zip(*(found[name] for name in ("boxes", "labels", "scores", "regions")), strict=True)
    for (x0, y0, x1, y1), label, score, region in rows:
        if label not in category_of:
            continue
        what = {"image_id": image_id, "category_id": category_of[label], "score": score}
        counts = region["counts"].decode("ascii")
        of_boxes.append({**what, "bbox": [x0, y0, x1 - x0, y1 - y0]})
        of_masks.append({**what, "segmentation": {"size": region["size"], "counts": counts}})
    return of_boxes, of_masks


def latency(samples_ms: Sequence[float], device: str) -> dict[str, object]:
    """Return the content of latency.json."""
    on_gpu = device.startswith("cuda")
    name = torch.cuda.get_device_name(device) if on_gpu else f"{platform.machine()} (CPU)"
    threads = "" if on_gpu else f", {torch.get_num_threads()} threads"
    return {
        "schema": 2,
        "device": name + threads,
        "precision": "fp32",
        "scenario": "end_to_end",
        "batch_size": 1,
        "samples_ms": [round(sample, 3) for sample in samples_ms],
        "software": {"torch": torch.__version__, "torchvision": torchvision.__version__},
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True, help="folder of images")
    parser.add_argument("--annotations", type=Path, required=True, help="COCO-format file")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument(
        "--weights", default="default", help="default (torchvision's, on COCO), a file, or none"
    )
    parser.add_argument("--limit", type=int, help="predict the first N images only")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1")
    parser.add_argument("--min-size", type=int, default=800, help="shorter side of the input, px")
    return parser.parse_args()


if __name__ == "__main__":
    main()
