"""Where deformable convolutions go. Arithmetic on block numbers; no tensor is needed."""

from collections.abc import Mapping, Sequence

from yolact_bench.errors import SpecError
from yolact_bench.model.backbone.backbone import Block, Placement
from yolact_bench.ranges import Count, Stage
from yolact_bench.slots import with_facts


def nowhere(blocks: Sequence[int]) -> frozenset[Block]:
    """Return no block: the plain backbone of YOLACT.

    Source: YOLACT (arXiv:1904.02689).
    Differs: nothing.
    """
    return frozenset()


def every_block(blocks: Sequence[int], *, first_stage: Stage = 1) -> frozenset[Block]:
    """Return every block from `first_stage` on; C3 to C5 by default.

    Source: YOLACT++ (arXiv:1912.06218), section on deformable convolution; the published R-50 model
    (dbolya/yolact@902073d data/config.py, `yolact_plus_resnet50_config`).
    Differs: nothing.
    """
    return every_nth(blocks, n=1, first_stage=first_stage)


@with_facts(own=("n",))  # of `last_blocks` it is a number of blocks
def every_nth(blocks: Sequence[int], *, n: Count = 3, first_stage: Stage = 1) -> frozenset[Block]:
    """Return the first block of each stage from `first_stage` on, and every n-th after it.

    Source: dbolya/yolact@902073d backbone.py, `_make_layer`.
    Differs: stages are chosen as a whole; the reference counts `dcn_layers` back from the end of
    each.
    """
    return frozenset(
        (stage, block)
        for stage in range(first_stage, len(blocks))
        for block in range(0, blocks[stage], n)
    )


@with_facts(own=("n",))
def last_blocks(blocks: Sequence[int], *, n: Count = 10) -> frozenset[Block]:
    """Return the last `n` blocks of the backbone, counted back from the end of C5.

    Source: YOLACT++ (arXiv:1912.06218), the placements "last 10" and "last 13" blocks.
    Differs: nothing that the paper says; there is no code of it.
    """
    ordered = [(stage, block) for stage, count in enumerate(blocks) for block in range(count)]
    if n > len(ordered):
        raise SpecError(f"dcn.last_blocks.n: expected 1 to {len(ordered)} blocks, got {n}")
    return frozenset(ordered[-n:])


DCN_PLACEMENTS: Mapping[str, Placement] = {
    "nowhere": nowhere,
    "every_block": every_block,
    "every_nth": every_nth,
    "last_blocks": last_blocks,
}
