"""What is written into one MLflow run, given the client and the run's id."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from tmu.errors import ConfigError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

_DIGEST_LENGTH = 36  # MLflow's limit: exactly a DVC directory MD5 with its `.dir`
_METRICS_PER_BATCH, _PARAMS_PER_BATCH = 1000, 100


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one level with dotted names."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        inner = flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
        result.update(inner)
    return result


def refuse_paths(values: Mapping[str, Any]) -> None:
    """`ConfigError` for an absolute path among tags or parameters: it would tell of people and machines for ever."""
    for name, value in values.items():
        if isinstance(value, PurePath) or (isinstance(value, str) and PurePath(value).is_absolute()):
            raise ConfigError(f"`{name}` would write a path into MLflow.", "Give a digest or a name instead.")


def start_run(
    client: "MlflowClient", experiment: str, name: str, tags: Mapping[str, str], parent_run: str | None
) -> str:
    """Start a run and return its id; `parent_run` nests it."""
    nesting = {"mlflow.parentRunId": parent_run} if parent_run else {}
    return client.create_run(experiment, tags={**tags, **nesting}, run_name=name).info.run_id


@contextmanager
def finishing(client: "MlflowClient", run_id: str) -> Iterator[None]:
    """End the run as FINISHED, or FAILED if the block raises."""
    try:
        yield
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id, "FINISHED")


def end_abandoned(
    client: "MlflowClient", experiment: str, tags: Mapping[str, str], *, but_batch: str | None = None
) -> int:
    """Mark runs with these tags that still say RUNNING as KILLED: their process died before it could. → how many.

    but_batch: the batch whose own run stays, because somebody will go on with it.
    """
    wanted = [*(f"tags.{key} = '{value}'" for key, value in tags.items()), "attributes.status = 'RUNNING'"]
    found = client.search_runs([experiment], " and ".join(wanted))
    found = [run for run in found if but_batch is None or run.data.tags.get("batch") != but_batch]
    for run in found:
        client.set_terminated(run.info.run_id, "KILLED")
    return len(found)


def log_params(client: "MlflowClient", run_id: str, params: Mapping[str, Any]) -> None:
    """Log parameters, already flat."""
    from mlflow.entities import Param

    entries = [Param(name, str(value)) for name, value in params.items()]
    for start in range(0, len(entries), _PARAMS_PER_BATCH):
        client.log_batch(run_id, params=entries[start : start + _PARAMS_PER_BATCH])


def log_data(client: "MlflowClient", run_id: str, dataset: str, data_digest: str, n_records: Mapping[str, int]) -> None:
    """Log each split as a dataset input `tmu/<dataset>/<split>`, identified by the data revision alone.

    MLflow's own dataset classes would hash and profile the images; here nothing of the content is read or stored.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = f'{{"uri": "dvc:{data_digest}"}}'
    inputs = []
    for split, count in n_records.items():
        tags = {"mlflow.data.context": split, "data_digest": data_digest, "n_records": str(count)}
        entity = Dataset(f"tmu/{dataset}/{split}", data_digest[:_DIGEST_LENGTH], "dvc", source)
        inputs.append(DatasetInput(entity, [InputTag(key, value) for key, value in tags.items()]))
    client.log_inputs(run_id, datasets=inputs)


def log_metrics(client: "MlflowClient", run_id: str, metrics: Sequence["Metric"]) -> None:
    """Log metric entities in as few calls as MLflow allows."""
    for start in range(0, len(metrics), _METRICS_PER_BATCH):
        client.log_batch(run_id, metrics=metrics[start : start + _METRICS_PER_BATCH])


def finished_run(client: "MlflowClient", experiment: str, tags: Mapping[str, str]) -> str | None:
    """The id of a finished run with these tags, or None."""
    wanted = [*(f"tags.{key} = '{value}'" for key, value in tags.items()), "attributes.status = 'FINISHED'"]
    found = client.search_runs([experiment], " and ".join(wanted), max_results=1)
    return found[0].info.run_id if found else None


def final_metrics(values: Mapping[str, float], model_id: str | None = None) -> list["Metric"]:
    """Metrics of what is finished: tied to the run and to the logged model, where there is one."""
    from mlflow.entities import Metric

    return [Metric(name, float(value), _milliseconds(), 0, model_id=model_id) for name, value in values.items()]


def history_metrics(epochs: Iterable[Mapping[str, float]]) -> list["Metric"]:
    """Training curves as `train/<name>`; the step is the entry's `epoch`, or else its position."""
    from mlflow.entities import Metric

    return [
        Metric(f"train/{name}", float(value), _milliseconds(), int(entry.get("epoch", position)))
        for position, entry in enumerate(epochs)
        for name, value in entry.items()
        if name != "epoch"
    ]


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000
