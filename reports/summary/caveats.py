"""What a reader must know before comparing two rows of a table."""

from collections.abc import Iterable, Mapping, Sequence

from reports.summary.timings import SessionRow, unfolded_text
from yolact_bench.evaluation import crowding_text, evaluation_text
from yolact_bench.findings import counts_text
from yolact_bench.results.manifest import Manifest
from yolact_bench.results.record import Accuracy


def caveats(
    manifest: Manifest, accuracies: Sequence[Accuracy], sessions: Sequence[SessionRow]
) -> tuple[str, ...]:
    """Return one sentence for everything that differs between rows but is not a declared change."""
    trainings = [a for a in accuracies if a.iterations]  # else given weights, or another program's
    environments = [*(a.environment for a in accuracies), *(s.environment for s in sessions)]
    values_by_sentence: Mapping[str, Iterable[str]] = {
        "The numbers come from different commits of the source": (e.commit for e in environments),
        "The accuracies were measured on different devices": (
            a.environment.device for a in accuracies
        ),
        "The accuracies were scored by different engines": (a.scoring for a in accuracies),
        "The arms were evaluated in batches of different size, which round differently": (
            str(a.eval_batch) for a in accuracies
        ),
        "The arms were trained by different programs, which round differently": (
            _program(a) for a in trainings
        ),
        "The arms were trained on different numbers of devices, which round differently": (
            str(a.devices) for a in trainings
        ),
        "The numbers come from different versions of torch": (
            e.versions.get("torch", "unknown") for e in environments
        ),
        "The arms were evaluated on different images, so Δ also reflects the data": (
            f"{a.dataset} ({a.eval_data})" for a in accuracies
        ),
    }
    mixtures = {text: list(dict.fromkeys(v)) for text, v in values_by_sentence.items()}
    sentences = [f"{text}: {', '.join(v)}." for text, v in mixtures.items() if len(v) > 1]
    if any(e.dirty for e in environments):
        sentences.append("Some numbers were measured with uncommitted changes in the source.")
    sentences += _of_evaluation(accuracies)
    sentences += [*_of_data(accuracies), *_of_images(manifest.unrecorded_images)]
    for session in sessions:
        sentences += _of_times(session)
    digests = {run.detect_digest for run in manifest.runs if run.arm == manifest.baseline}
    if accuracies and not any(a.detect_digest in digests for a in accuracies):
        sentences.append(f"The baseline {manifest.baseline} has no accuracy, so there is no Δ.")
    return tuple(sentences)


def _program(accuracy: Accuracy) -> str:
    parts = {
        "compiled": accuracy.compile_network,
        "one graph": accuracy.record_step,
        "cuDNN benchmark": accuracy.cudnn_benchmark,
    }
    return " + ".join(name for name, used in parts.items() if used) or "eager"


def _of_evaluation(accuracies: Sequence[Accuracy]) -> list[str]:
    """What counts where that is not as in COCO's evaluation, and where not all that could."""
    arms_by_text: dict[str, dict[str, None]] = {}
    for one in accuracies:
        arms_by_text.setdefault(evaluation_text(one.evaluation), {})[one.arm] = None
    sentences = []
    for text, arms in arms_by_text.items():
        if text:
            which = f" ({', '.join(arms)})" if len(arms_by_text) > 1 else ""
            limit = "; AR100 is with max_dets" if "max_dets" in text else ""
            sentences.append(f"The evaluation{which} is not COCO's: {text}{limit}.")
    crowds = {crowding_text(a.crowded_images, a.evaluation) for a in accuracies if a.crowded_images}
    return sentences + [f"{text}." for text in sorted(crowds)]


def _of_data(accuracies: Sequence[Accuracy]) -> list[str]:
    """What was mended in the data or left out of them, once for each state of them."""
    evaluated = {(a.dataset, counts_text(a.findings)) for a in accuracies if a.findings}
    learnt = {counts_text(a.train_findings) for a in accuracies if a.train_findings}
    texts = [f"In {data}: {counts}" for data, counts in sorted(evaluated)]
    texts += [f"In the training data: {counts}" for counts in sorted(learnt)]
    return [f"{text}; `yolact-bench data check` lists them." for text in texts]


def _of_images(unrecorded: Sequence[str]) -> list[str]:
    """What is not known of the images of splits whose work an earlier version began."""
    text = f"Work on {', '.join(unrecorded)} began before images were recorded: whether those that"
    return [f"{text} are there now are the same is not known."] if unrecorded else []


def _of_times(session: SessionRow) -> list[str]:
    if session.invalid:
        return [f"The times ({session.label}) do not count: {session.invalid}."]
    sentences = [f"While the arms were timed ({session.label}): {w}." for w in session.warnings]
    norms = {arm: timing.latency.unfolded_norms for arm, timing in session.timings.items()}
    return sentences + [
        f"{unfolded_text(arm, n)} ({session.label})." for arm, n in norms.items() if n
    ]
