"""Matrix products that apply the ReLU behind them, in a recorded graph of operators."""

import torch
from torch import fx, nn

from yolact_bench.torch_internals import addmm_relu

aten = torch.ops.aten
_RELUS = (aten.relu.default, aten.relu_.default)
_VIEWS = (aten.view.default, aten.permute.default)
_ARGUMENT = "rectify"


def rectify_products(recorded: nn.Module) -> int:
    """Let products in a recorded graph apply the ReLU of their results; return how many now do.

    That is `addmm`, and any operator with an argument `rectify`, where nothing but the ReLU reads
    the result, through views at most. Left to itself, inductor splits an `addmm` before a ReLU
    into a product and a kernel for bias and ReLU.

    Source: epilogues of cuBLASLt, as `addmm_relu` calls them.
    """
    assert isinstance(recorded, fx.GraphModule)
    rectified = 0
    for node in list(recorded.graph.nodes):
        if node.target in _RELUS and _rectify(_product_behind(node.args[0])):
            node.replace_all_uses_with(node.args[0])
            recorded.graph.erase_node(node)
            rectified += 1
    recorded.graph.lint()
    recorded.recompile()
    return rectified


def _product_behind(node: fx.Node) -> fx.Node | None:
    """Return what a tensor is a view of, if nothing else reads either."""
    while len(node.users) == 1 and node.target in _VIEWS:
        source = node.args[0]
        assert isinstance(source, fx.Node)
        node = source
    return node if len(node.users) == 1 else None


def _rectify(product: fx.Node | None) -> bool:
    """Change a node to one that applies a ReLU; return whether it has such a form."""
    if product is None:
        return False
    fused = addmm_relu()
    if product.target is aten.addmm.default and not product.kwargs and fused is not None:
        product.target = fused
        return True
    schema = getattr(product.target, "_schema", None)
    if schema is None or _ARGUMENT not in {argument.name for argument in schema.arguments}:
        return False
    product.kwargs = {**product.kwargs, _ARGUMENT: True}
    return True
