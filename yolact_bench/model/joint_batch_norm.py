"""Batch norm over the joint batch of several processes, on a CPU as on GPUs."""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class JointBatchNorm2d(nn.BatchNorm2d):
    """Batch norm whose statistics in training are those of all processes' images together.

    Weights, buffers and their names are those of `nn.BatchNorm2d`. In evaluation, and where it
    is frozen, it is the same: no process then waits for another. Every process must have as many
    images as the others.

    Source: as `torch.nn.SyncBatchNorm`, which works on GPUs alone. Differs: statistics are
    gathered as means and variances, whose combination loses no digits where the mean is large.
    """

    group: dist.ProcessGroup | None = None

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return the normalised features."""
        if not self.training:
            return super().forward(x)
        assert self.momentum is not None, "a running mean over all batches is not supported"
        mean, var, count = _joint_statistics(x, self.group)
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * (count / (count - 1)), self.momentum)
        out: Tensor = _Normalisation.apply(
            x, self.weight, self.bias, mean, var, self.eps, self.group
        )
        return out


def share_batch_norm(module: nn.Module, group: dist.ProcessGroup | None) -> None:
    """Replace every batch norm below `module` by a joint one with the same weights and buffers."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, _joint(child, group))
        else:
            share_batch_norm(child, group)


def _joint(norm: nn.BatchNorm2d, group: dist.ProcessGroup | None) -> JointBatchNorm2d:
    with torch.device("meta"):
        joint = JointBatchNorm2d(norm.num_features, eps=norm.eps, momentum=norm.momentum)
    joint.weight, joint.bias = norm.weight, norm.bias
    joint.running_mean, joint.running_var = norm.running_mean, norm.running_var
    joint.num_batches_tracked = norm.num_batches_tracked
    joint.group = group
    return joint.train(norm.training)


@torch.no_grad()
def _joint_statistics(
    x: Float[Tensor, "B C H W"], group: dist.ProcessGroup | None
) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"], int]:
    """Return mean and biased variance of each channel, and of how many values they are."""
    own_var, own_mean = torch.var_mean(_wide(x), dim=(0, 2, 3), correction=0)
    own = torch.stack([own_mean, own_var])  # [2, C]
    ranks = dist.get_world_size(group)
    every = [torch.empty_like(own) for _ in range(ranks)]
    dist.all_gather(every, own, group=group)
    means, variances = torch.stack(every).unbind(dim=1)  # [R, C] each
    mean = means.mean(dim=0)
    var = variances.mean(dim=0) + (means - mean).square().mean(dim=0)
    return mean, var, ranks * (x.numel() // x.shape[1])


class _Normalisation(torch.autograd.Function):
    """Normalisation by the joint statistics, and its gradient through them on all processes."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        var: Tensor,
        eps: float,
        group: dist.ProcessGroup | None,
    ) -> Tensor:
        inverse = torch.rsqrt(var + eps)
        ctx.save_for_backward(x, weight, mean, inverse)
        ctx.group = group
        return F.batch_norm(x, mean, var, weight, bias, training=False, eps=eps)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        x, weight, mean, inverse = ctx.saved_tensors
        shape = (1, -1, 1, 1)
        dense = _wide(gradient)
        centred = _wide(x) - mean.view(shape)
        of_bias = dense.sum(dim=(0, 2, 3))
        of_weight = (dense * centred).sum(dim=(0, 2, 3)) * inverse
        # Each process has the gradient of its own loss; statistics bind it to those of others.
        joint = torch.stack([of_bias, of_weight])
        dist.all_reduce(joint, group=ctx.group)
        count = dist.get_world_size(ctx.group) * (x.numel() // x.shape[1])
        shift, scale = (joint / count).unbind()
        dense = dense - shift.view(shape) - centred * (scale * inverse).view(shape)
        of_x = (dense * (weight * inverse).view(shape)).to(x.dtype)
        return of_x, of_weight.to(weight.dtype), of_bias.to(weight.dtype), None, None, None, None


def _wide(x: Tensor) -> Tensor:
    """The same numbers in float32 at least: sums over half precision would lose digits."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
