"""The recorded numbers notice each quirk of the reference when it is undone.

Without these the golden tests might pass for want of looking. Every case below is a plausible
"correction" of something that released weights depend on.
"""

import copy
from collections.abc import Callable, Mapping
from functools import cache, partial
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.support.golden_reference import detector, images, output_faults, recorded
from yolact_bench.geometry.anchors import anchor_grid, one_scale, three_scales
from yolact_bench.model import enlargement
from yolact_bench.model import fpn as fpn_module
from yolact_bench.model import head as head_module
from yolact_bench.model.fpn import YolactFpn

V1, PLUS = "yolact_resnet50", "yolact_plus_resnet50"


@cache
def inputs(config: str) -> Tensor:
    return detector(config).preprocess(images()[:1])


@cache
def features(config: str) -> list[Tensor]:
    with torch.inference_mode():
        found: list[Tensor] = detector(config).network.backbone(inputs(config))
        return found


@cache
def levels(config: str) -> list[Tensor]:
    with torch.inference_mode():
        found: list[Tensor] = detector(config).network.fpn(features(config))
        return found


def functional(**changed: Callable[..., Tensor]) -> SimpleNamespace:
    """`torch.nn.functional` for one module, with some functions of it changed."""
    names = ("relu", "interpolate")
    return SimpleNamespace(**{name: changed.get(name, getattr(F, name)) for name in names})


def same(x: Tensor) -> Tensor:
    return x


def aligned(x: Tensor, **options: object) -> Tensor:
    return F.interpolate(x, **{**options, "align_corners": True})  # type: ignore[arg-type]


def nearest(x: Tensor, *, size: list[int], **options: object) -> Tensor:
    return F.interpolate(x, size=size, mode="nearest")


@pytest.mark.parametrize(
    ("config", "wrong"),
    [
        (V1, one_scale(square=False)),
        (V1, one_scale(ratios=(0.5, 1.0, 2.0))),
        (PLUS, three_scales(factors=(1.0, 1.25, 1.6))),
        (
            PLUS,
            tuple(tuple(level[i] for i in (0, 3, 6, 1, 4, 7, 2, 5, 8)) for level in three_scales()),
        ),
    ],
    ids=["true ratios", "another order", "rounded factors", "ratio outside scale"],
)
def test_other_anchors_are_noticed(config: str, wrong: object) -> None:
    anchors = anchor_grid(wrong, 550)  # type: ignore[arg-type]
    assert not torch.equal(anchors, torch.from_numpy(recorded(config)["priors"]))


def _normalised(square: Tensor) -> Tensor:
    mean, std = (
        torch.tensor(v)[:, None, None] for v in ((123.68, 116.78, 103.94), (58.40, 57.12, 57.38))
    )
    return ((square - mean) / std)[None]


def _tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(image).permute(2, 0, 1).float()


PREPROCESSING: Mapping[str, Callable[[np.ndarray], Tensor]] = {
    "resized as whole numbers": lambda image: _normalised(_tensor(cv2.resize(image, (550, 550)))),
    "resized with antialiasing": lambda image: _normalised(
        F.interpolate(_tensor(image)[None], (550, 550), mode="bilinear", antialias=True)[0]
    ),
    "blue first": lambda image: inputs(V1).flip(1),
    "not divided by the deviation": lambda image: inputs(V1) * 57.0,
    "aspect ratio kept": lambda image: _normalised(
        F.pad(_tensor(cv2.resize(image.astype(np.float32), (550, 412))), (0, 0, 0, 138))
    ),
}


@pytest.mark.parametrize("name", PREPROCESSING)
def test_other_preprocessing_is_noticed(name: str) -> None:
    assert output_faults(V1, {"input": inputs(V1)}) == []
    assert output_faults(V1, {"input": PREPROCESSING[name](images()[0])})


def _relu_after(index: int, fpn: YolactFpn) -> None:
    fpn.downsample[index] = nn.Sequential(fpn.downsample[index], nn.ReLU())


def _turn(fpn: YolactFpn) -> None:
    fpn.smooth = nn.ModuleList(reversed(fpn.smooth))


FPN: Mapping[str, tuple[Callable[[YolactFpn], None], SimpleNamespace]] = {
    "ReLU on P6": (partial(_relu_after, 0), functional()),
    "ReLU on P7": (partial(_relu_after, 1), functional()),
    "smoothing in file order": (_turn, functional()),
    "no ReLU on P3 to P5": (lambda fpn: None, functional(relu=same)),
    "top-down by nearest": (lambda fpn: None, functional(interpolate=nearest)),
    "top-down with aligned corners": (lambda fpn: None, functional(interpolate=aligned)),
}


@pytest.mark.parametrize("name", FPN)
def test_another_fpn_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, functions = FPN[name]
    mutant = copy.deepcopy(detector(V1).network.fpn)
    change(mutant)
    monkeypatch.setattr(fpn_module, "F", functions)
    monkeypatch.setattr(enlargement, "F", functions)
    with torch.inference_mode():
        found = {f"P{i}": level for i, level in enumerate(mutant(features(V1)), start=3)}
    assert output_faults(V1, found)


def test_another_protonet_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    protonet = detector(V1).network.protonet
    with torch.inference_mode():
        monkeypatch.setattr(protonet, "activation", "none")
        assert output_faults(V1, {"proto": protonet(levels(V1)[0])})
        monkeypatch.undo()
        monkeypatch.setattr(enlargement, "F", functional(interpolate=aligned))
        assert output_faults(V1, {"proto": protonet(levels(V1)[0])})


def test_another_head_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    head = detector(V1).network.head

    def faults() -> list[str]:
        with torch.inference_mode():
            names = ("loc", "conf", "mask")
            found = dict(zip(names, head(levels(V1)), strict=True))
        return [fault.split(":")[0] for fault in output_faults(V1, found)]

    assert faults() == []
    monkeypatch.setattr(head, "activation", "none")
    assert faults() == ["mask"]
    monkeypatch.undo()
    monkeypatch.setattr(head_module, "F", functional(relu=same))
    assert faults() == ["loc", "conf", "mask"]
    monkeypatch.undo()
    monkeypatch.setattr(
        head_module,
        "flat",
        lambda maps, width: torch.cat(
            [x.unflatten(1, (width, -1)).permute(0, 3, 4, 2, 1).flatten(1, 3) for x in maps], 1
        ),
    )
    assert faults() == ["loc", "conf", "mask"]  # channels component-major instead of anchor-major


def _stride_first(backbone: nn.Module) -> None:
    block = backbone.layer2[0]
    block.conv1.stride, block.conv2.stride = (2, 2), (1, 1)


def _epsilon(backbone: nn.Module) -> None:
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-3


def _deform(change: Callable[..., tuple[object, ...]]) -> Callable[[nn.Module], None]:
    def apply(backbone: nn.Module) -> None:
        for block in backbone.layer2:
            original = block.conv2.implementation
            block.conv2.implementation = lambda *a, f=original: f(*change(*a))

    return apply


BACKBONES: Mapping[str, tuple[str, Callable[[nn.Module], None]]] = {
    "stride in the first 1×1": (V1, _stride_first),
    "another epsilon": (V1, _epsilon),
    "nine dy, then nine dx": (
        PLUS,
        _deform(lambda x, o, *r: (x, torch.stack((o[:, :9], o[:, 9:]), 2).flatten(1, 2), *r)),
    ),
    "dx before dy": (
        PLUS,
        _deform(lambda x, o, *r: (x, o.unflatten(1, (9, 2)).flip(2).flatten(1, 2), *r)),
    ),
    "no modulation": (PLUS, _deform(lambda x, o, m, *r: (x, o, torch.ones_like(m), *r))),
    "modulation without sigmoid": (PLUS, _deform(lambda x, o, m, *r: (x, o, m.logit(), *r))),
    "no bias": (PLUS, _deform(lambda x, o, m, w, b, s: (x, o, m, w, torch.zeros_like(b), s))),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_another_backbone_is_noticed(name: str) -> None:
    config, change = BACKBONES[name]
    mutant = copy.deepcopy(detector(config).network.backbone)
    mutant.layer3 = mutant.layer4 = nn.Identity()  # C3 suffices
    change(mutant)
    with torch.inference_mode():
        assert output_faults(config, {"C3": mutant(inputs(config))[0]})
