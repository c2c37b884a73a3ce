"""Keys of a released YOLACT file → ours, as rules."""

import re
from collections.abc import Callable

_LEVELS = 3  # laterals and smoothing convolutions are stored deepest first
_BN = r"(?:weight|bias|running_mean|running_var|num_batches_tracked)"
_WB = r"(?:weight|bias)"


KeyRule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


def _rule(pattern: str, ours: str | Callable[[re.Match[str]], str]) -> KeyRule:
    change = ours if callable(ours) else lambda match: match.expand(ours)
    return re.compile(pattern), change


def _rewrite(name: str) -> Callable[[re.Match[str]], str]:
    """Return the renaming of a list of the FPN, which we store finest first."""
    return lambda match: f"fpn.{name}.{_LEVELS - 1 - int(match[1])}.{match[2]}"


_PROTONET = {"0": "before.0", "2": "before.1", "4": "before.2", "8": "after", "10": "prototypes"}
HEAD = {
    "upfeature.0": "shared",
    "bbox_layer": "boxes",
    "conf_layer": "scores",
    "mask_layer": "coefficients",
}

# Reference's key (matched as a whole) → ours. Source: dbolya/yolact@902073d yolact.py and
# backbone.py, the attribute names of their modules.
KEY_RULES: tuple[KeyRule, ...] = (
    _rule(rf"backbone\.(conv1\.weight|bn1\.{_BN})", r"backbone.\1"),
    _rule(
        rf"backbone\.layers\.([0-3])\.(\d+\.(?:conv[123]\.weight|conv2\.bias|bn[123]\.{_BN}"
        rf"|downsample\.0\.weight|downsample\.1\.{_BN}))",
        lambda match: f"backbone.layer{int(match[1]) + 1}.{match[2]}",
    ),
    _rule(
        rf"backbone\.layers\.([0-3])\.(\d+)\.conv2\.conv_offset_mask\.({_WB})",
        lambda match: f"backbone.layer{int(match[1]) + 1}.{match[2]}.conv2.offset_mask.{match[3]}",
    ),
    _rule(rf"backbone\._preconv\.(0\.weight|1\.{_BN})", r"backbone.preconv.\1"),
    _rule(rf"backbone\.layers\.([0-4]\.0\.(?:0\.weight|1\.{_BN}))", r"backbone.stages.\1"),
    _rule(
        rf"backbone\.layers\.([0-4]\.\d+\.conv[12]\.(?:0\.weight|1\.{_BN}))",
        r"backbone.stages.\1",
    ),
    _rule(rf"fpn\.lat_layers\.([0-2])\.({_WB})", _rewrite("laterals")),
    _rule(rf"fpn\.pred_layers\.([0-2])\.({_WB})", _rewrite("smooth")),
    _rule(rf"fpn\.downsample_layers\.([01]\.{_WB})", r"fpn.downsample.\1"),
    _rule(
        rf"proto_net\.(0|2|4|8|10)\.({_WB})",
        lambda match: f"protonet.{_PROTONET[match[1]]}.{match[2]}",
    ),
    _rule(
        rf"prediction_layers\.0\.(upfeature\.0|bbox_layer|conf_layer|mask_layer)\.({_WB})",
        lambda match: f"head.{HEAD[match[1]]}.{match[2]}",
    ),
    _rule(rf"semantic_seg_conv\.({_WB})", r"semantic.\1"),
    _rule(rf"maskiou_net\.maskiou_net\.(\d+\.{_WB})", r"rescore_net.layers.\1"),
)

# Dropped, as the reference's own loader drops them: remains of v1.0 in old files.
LEFTOVERS = (
    re.compile(r"backbone\.layer(?!s).*"),
    re.compile(r"fpn\.downsample_layers\.(?:[2-9]|\d\d+)\..*"),
)
