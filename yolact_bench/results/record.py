"""Records of the result store. A record says what was measured, on what, and from which code.

One file: its classes are the schema of results.jsonl, which old stores have, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from yolact_bench.statistics.quantile import quantile

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where a number comes from."""

    commit: str  # of the source tree; "unknown" outside git
    dirty: bool
    device: str  # "NVIDIA H200", "AMD EPYC (CPU)"
    device_type: str  # cuda or cpu
    threads: int  # CPU threads that torch uses
    driver: str  # GPU driver, or "" on CPU
    os: str
    versions: Mapping[str, str]  # python, torch, torchvision, cuda, pycocotools, numpy

    @property
    def short_commit(self) -> str:
        """The first digits of the commit, and whether the source had changes beyond it."""
        return self.commit[:10] + ("+changes" if self.dirty else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApSummary:
    """COCO metrics of one kind (box or mask), as fractions. None: no ground truth of that size."""

    ap: float | None  # IoU 0.50:0.95
    ap50: float | None
    ap75: float | None
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None
    ar_1: float | None  # average recall with 1, 10 and 100 detections an image
    ar_10: float | None
    ar_100: float | None
    ar_small: float | None
    ar_medium: float | None
    ar_large: float | None
    ap_by_iou: tuple[float | None, ...]  # at 0.50, 0.55, …, 0.95
    ap_by_class: Mapping[str, float | None]  # by class name


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """AP of one arm with one seed."""

    ablation: str
    arm: str
    seed: int
    train_digest: str
    forward_digest: str
    detect_digest: str
    dataset: str  # name and split, for people
    eval_data: str  # fingerprint
    num_images: int
    box: ApSummary
    mask: ApSummary
    parameters: int  # of the network and its re-scoring network
    iterations: int  # trained; 0 for given weights
    train_seconds: float  # of training alone, summed over resumptions
    train_images_per_second: float
    skipped_annotations: int  # degenerate ones left out of training
    peak_memory_mb: float | None  # of training, on a GPU
    predictions: str  # folder, relative to the work directory
    environment: Environment
    time: str  # ISO 8601, UTC
    proxy: bool = False  # a shortened schedule stands in for the paper's
    macs: int | None = None  # of one 480×640 image with 100 objects, after the network too
    origin: str = ""  # of predictions made by another framework, whose training is not known
    scoring: str = "pycocotools"  # the engine that scored, with its version if it is another
    eval_batch: int = 1  # images a forward pass; larger ones round otherwise in the last bits
    devices: int = 1  # that shared each batch of the training
    weights_sha256: str = ""  # of the values of the weights; empty where they are not known
    # For some part of the training, which rounds otherwise:
    compile_network: bool = False
    record_step: bool = False
    cudnn_benchmark: bool = False
    evaluation: Mapping[str, object] = field(default_factory=dict)  # options unlike COCO's
    crowded_images: int = 0  # with more objects of a class than detections that count
    findings: Mapping[str, int] = field(default_factory=dict)  # of the evaluation data, by kind
    train_findings: Mapping[str, int] = field(default_factory=dict)

    def omitted_fields(self) -> frozenset[str]:
        """Fields that the JSON form leaves out: those that older versions do not read."""
        ways = ("compile_network", "record_step", "cudnn_benchmark")
        later = (
            *ways,
            "findings",
            "train_findings",
            "weights_sha256",
            "evaluation",
            "crowded_images",
        )
        return frozenset(name for name in later if not getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingProtocol:
    """How the times of one arm were measured. The defaults are those of a record without any."""

    version: int = 1  # what the name of a scenario means
    rel_ci: float | None = None  # half-width of the 95 % intervals that ends the rounds
    max_s: float | None = None  # time limit of the rounds
    rounds: int | None = None
    calls_per_round: int = 1  # neighbouring samples of one round and one arm
    baseline: str = ""  # the arm that the others are compared with
    ended: str = ""  # narrow, time or rounds
    half_width: float | None = None  # at the end; None: too few rounds
    warmup_stable: bool | None = None
    detections: float | None = None  # mean of a call; None: raw predictions, or unknown
    stages_synchronised_ms: Mapping[str, float] = field(default_factory=dict)
    stage_notes: tuple[str, ...] = ()  # contradictions between two measurements of the stages
    twin_of: str = ""  # the arm that was timed twice
    twin_ratio: float | None = None  # of its two sets of times
    twin_interval: tuple[float, ...] = ()  # 95 %
    twin_samples_ms: tuple[float, ...] = ()

    @property
    def is_smoke(self) -> bool:
        """Whether a command asked for too few rounds for an interval, as a smoke run does.

        A rule on the length of sessions exempts these: they are as long as they were to be.
        """
        return self.ended == "rounds" and self.half_width is None

    def omitted_fields(self) -> frozenset[str]:
        """Fields that the JSON form leaves out: those of a twin without one, or all."""
        names = [f.name for f in fields(self)]
        if self == TimingProtocol():
            return frozenset(names)
        return frozenset() if self.twin_of else frozenset(n for n in names if n.startswith("twin_"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Times of one arm in one scenario; a session is the rounds of one scenario."""

    ablation: str
    arm: str
    seed: int
    train_digest: str
    detect_digest: str
    session: str  # of the alternating rounds; only times of one session compare
    interleaved_with: tuple[str, ...]  # all arms of that session, this one included
    scenario: str  # model, detector or end_to_end; what they mean is the protocol's version
    timer: str  # "wall clock" or "CUDA events"
    precision: str
    samples_ms: tuple[float, ...]  # of every call: a table may later want another quantile
    stages_ms: Mapping[str, tuple[float, ...]]  # timed in rounds of their own, with a sync each
    image_ids: tuple[int, ...]  # of the images used, in the order of `samples_ms`
    warmup: int  # calls before the first sample
    peak_memory_mb: float | None
    environment: Environment
    time: str
    reported: bool = False  # the external program's own figure; never compared
    batch_size: int = 1
    enqueue_ms: tuple[float, ...] = ()  # until the call returned to the host; of a GPU's samples
    load: str = ""  # the declared detection load; "": the arm's own detections
    protocol: TimingProtocol = field(default_factory=TimingProtocol)
    fingerprint: str = ""  # of hardware, software and protocol, for readers of the file to group by
    facts: Mapping[str, object] | None = None  # of the device while it was timed
    invalid: str = ""  # reason found while measuring; `sessions` says whether a session counts
    energy_mj: float | None = None  # an image
    inexact: int = 0  # images for which fixed numbers of candidates were too small
    unfolded_norms: int = 0  # batch norms that could not be folded, which costs time
    weights_sha256: str = ""  # as of an accuracy

    def omitted_fields(self) -> frozenset[str]:
        """Fields that the JSON form leaves out: those that older versions do not read."""
        later = ("unfolded_norms", "weights_sha256")
        return frozenset(name for name in later if not getattr(self, name))

    @property
    def median_ms(self) -> float:
        """Median of all samples."""
        return self.quantile_ms(0.5)

    def quantile_ms(self, fraction: float) -> float:
        """Return the sample quantile."""
        return quantile(self.samples_ms, fraction)

    def is_paired(self, other: "Latency") -> bool:
        """Whether sample i of both is of the same round and image."""
        same_number = len(self.samples_ms) == len(other.samples_ms)
        return same_number and self.image_ids == other.image_ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An arm that could not be finished, and why."""

    ablation: str
    arm: str
    seed: int
    train_digest: str
    detect_digest: str
    phase: str  # train, evaluate, latency or errors
    kind: str  # non_finite_loss, out_of_memory, bad_image, error, …
    message: str
    traceback: str
    environment: Environment
    time: str

    @property
    def reason(self) -> str:
        """Phase, kind and message on one line."""
        return f"{self.phase} ({self.kind}): {' '.join(self.message.split())}"


OPPOSITES = ("false_positive", "false_negative")  # all errors of each kind, beside the types


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """What one arm with one seed loses AP to, and what it would reach with one part perfect."""

    ablation: str
    arm: str
    seed: int
    train_digest: str
    detect_digest: str
    eval_data: str  # fingerprint
    box: Mapping[str, float]  # error type → AP50 gained if it alone were fixed; "ap50": as is
    mask: Mapping[str, float]
    # Oracle → mask AP with it, None if undefined; "none": as is. May be empty.
    oracles: Mapping[str, float | None]
    environment: Environment
    time: str


Record = Accuracy | Latency | Errors | Failure
