"""What an MLflow store holds of an ablation, as plain data that two stores can be compared by."""

from dataclasses import dataclass

# Made by the store itself, or different for every execution.
OWN_TAGS = ("mlflow.parentRunId", "execution", "mlflow.artifactLocation", "mlflow.user")


@dataclass(frozen=True)
class Seen:
    """A run."""

    tags: dict[str, str]
    params: dict[str, str]
    points: dict[str, list[tuple[int, float]]]  # by metric: step and value, sorted
    times: dict[str, list[int]]
    status: str
    artifacts: list[str]
    parent: str


def seen(uri: str, ablation: str) -> dict[str, Seen]:
    """Return the runs of an experiment by name: "parent", or arm and seed; no name twice."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(ablation)
    assert experiment is not None
    found: dict[str, Seen] = {}
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    ids = {run.info.run_id: _name(run.data.tags) for run in runs}
    for run in runs:
        name = _name(run.data.tags)
        assert name not in found, f"{name} is there twice"
        histories = {m: client.get_metric_history(run.info.run_id, m) for m in run.data.metrics}
        own = (*OWN_TAGS, *(["mlflow.runName"] if name == "parent" else []))  # its time
        found[name] = Seen(
            tags={k: v for k, v in run.data.tags.items() if k not in own},
            params=dict(run.data.params),
            points={m: sorted((p.step, p.value) for p in h) for m, h in histories.items()},
            times={m: sorted(p.timestamp for p in h) for m, h in histories.items()},
            status=run.info.status,
            artifacts=sorted(f.path for f in client.list_artifacts(run.info.run_id)),
            parent=ids.get(run.data.tags.get("mlflow.parentRunId", ""), ""),
        )
    return found


def _name(tags: dict[str, str]) -> str:
    return f"{tags['arm']} {tags['seed']}" if "arm" in tags else "parent"
