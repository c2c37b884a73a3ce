"""ResNet-18/34/50/101 as feature extractors, with deformable 3×3 layers where a placement says."""

import torchvision
from jaxtyping import Float
from torch import Tensor, nn

from yolact_bench.deform.layer import DeformableConv2d, DeformImplementation
from yolact_bench.model.backbone.backbone import Backbone, Placement
from yolact_bench.slots import with_facts

# RGB on the 0-255 scale. Source: dbolya/yolact@902073d data/config.py, MEANS and STD (there BGR).
IMAGENET_MEAN = (123.68, 116.78, 103.94)
IMAGENET_STD = (58.40, 57.12, 57.38)


class ResNet(Backbone):
    """torchvision's ResNet without its classifier; returns C3, C4 and C5.

    In every chosen block the second convolution becomes deformable: the 3×3 of a bottleneck, the
    second 3×3 of a basic block.

    Source: arXiv:1512.03385; torchvision.models.resnet; the placement: YOLACT++ (arXiv:1912.06218).
    Differs: no classifier; the stride of a bottleneck is in its 3×3 convolution, as torchvision's.
    """

    mean = IMAGENET_MEAN
    std = IMAGENET_STD

    def __init__(self, depth: int, placement: Placement, deform: DeformImplementation) -> None:
        super().__init__()
        net = getattr(torchvision.models, f"resnet{depth}")(weights=None)
        self.imagenet = f"ResNet{depth}_Weights"
        self.conv1, self.bn1 = net.conv1, net.bn1
        self.relu, self.maxpool = net.relu, net.maxpool
        self.layer1, self.layer2 = net.layer1, net.layer2
        self.layer3, self.layer4 = net.layer3, net.layer4
        stages = [self.layer1, self.layer2, self.layer3, self.layer4]
        self.placed = placement([len(stage) for stage in stages])
        for stage, block in sorted(self.placed):
            chosen = stages[stage][block]
            chosen.conv2 = DeformableConv2d(chosen.conv2, deform)
        expansion = stages[0][0].expansion
        self.channels = (128 * expansion, 256 * expansion, 512 * expansion)

    def forward(self, x: Float[Tensor, "B 3 H W"]) -> list[Tensor]:
        """Return C3, C4, C5 [B, channels, H / 8 …], each side rounded up."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        c3 = self.layer2(self.layer1(x))
        c4 = self.layer3(c3)
        return [c3, c4, self.layer4(c4)]

    def residual_norms(self) -> list[nn.BatchNorm2d]:
        """Return the last batch norm of each block: bn3 of a bottleneck, bn2 of a basic block."""
        blocks = [*self.layer1, *self.layer2, *self.layer3, *self.layer4]
        return [getattr(block, "bn3", block.bn2) for block in blocks]


@with_facts(imagenet="ResNet18_Weights", blocks=(2, 2, 2, 2))
def resnet18(placement: Placement, deform: DeformImplementation) -> ResNet:
    """Return ResNet-18. Source: arXiv:1512.03385, table 1. Differs: as `ResNet`."""
    return ResNet(18, placement, deform)


@with_facts(imagenet="ResNet34_Weights", blocks=(3, 4, 6, 3))
def resnet34(placement: Placement, deform: DeformImplementation) -> ResNet:
    """Return ResNet-34. Source: arXiv:1512.03385, table 1. Differs: as `ResNet`."""
    return ResNet(34, placement, deform)


@with_facts(imagenet="ResNet50_Weights", blocks=(3, 4, 6, 3))
def resnet50(placement: Placement, deform: DeformImplementation) -> ResNet:
    """Return ResNet-50. Source: arXiv:1512.03385, table 1. Differs: as `ResNet`."""
    return ResNet(50, placement, deform)


@with_facts(imagenet="ResNet101_Weights", blocks=(3, 4, 23, 3))
def resnet101(placement: Placement, deform: DeformImplementation) -> ResNet:
    """Return ResNet-101. Source: arXiv:1512.03385, table 1. Differs: as `ResNet`."""
    return ResNet(101, placement, deform)
