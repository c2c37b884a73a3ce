"""How a training is carried out: device, workers, checkpoints, validation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from runners.system.ranks import ALONE, Ranks
from runners.training.step_graph import StepRecorder
from yolact_bench.model.network import Yolact
from yolact_bench.training_log import Logged

# A validation evaluates the network during its training and returns metrics such as mask_ap.
Validate = Callable[[Yolact], Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """How a training is carried out; nothing here changes its result beyond rounding.

    But for images with more than 100 positives, of which each kind and number of devices draws its
    own part for the mask loss.

    `compile_network` has inductor compile the training step's forward and backward pass. With a
    `recorder` the whole step is one graph. `cudnn_benchmark` has cuDNN time its algorithms and take
    the fastest, which changes between executions, and so does the rounding: it is off unless asked
    for. Weights and checkpoints are those of the network itself: a training may resume with or
    without each of these.
    """

    device: str
    workers: int
    validate: Validate | None = None
    validate_every: int = 0  # iterations; 0: never
    checkpoint_seconds: float = 120.0
    compile_network: bool = False
    recorder: StepRecorder | None = None  # None: each step is launched by the host
    cudnn_benchmark: bool = False
    on_log: Logged | None = None
    should_stop: Callable[[], bool] = lambda: False
    ranks: Ranks = ALONE  # this process's place among those that share each batch
