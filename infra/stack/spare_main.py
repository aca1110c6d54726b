"""A process of `spare.py`: imports what a deletion needs, waits for a run on its standard input, and carries it out.

Where a file that it imported is another one by then, or is gone, it becomes a new process, which imports what is there.
"""

import gc
import importlib
import json
import os
import runpy
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

ENGINE = "prefect.engine"
WARM = (
    "flows.nightly_batch",
    "prefect.flow_engine",
    "mlflow.pyfunc",  # what steps import only when they run, from here on
    "mlflow.data",
    "torch._dynamo",  # by torch's optimisers, in their first step
    "matplotlib.backends.backend_agg",
    "sklearn.linear_model",
    "cyclonedx.output.json",
    "model_signing",
    "boto3",
    "psycopg",
    "alembic.command",
    "tmu.stores.dvc",
    "tmu.purge.places.data",
    "tmu.purge.places.prefect_runs",
    "tmu.unlearn.tmu_soft",
    "tmu.models.torchvision_zoo",
)


def prepare() -> None:
    """Import all; what cannot be imported fails in the run itself, where somebody is told."""
    with suppress(Exception):
        from tmu.stores.mlflow_link import quiet

        quiet()  # MLflow reads some of its switches when it is imported
    for name in WARM:
        with suppress(Exception):
            importlib.import_module(name)
    with suppress(Exception):
        from tmu.stores.s3_access import S3Access

        S3Access("http://127.0.0.1").client()  # it asks nobody; botocore reads its description of S3 for the first one
    with suppress(Exception):
        from tmu.evidence.sbom import installed

        installed()  # a spare is not taken once a package was installed or removed
    gc.collect()
    gc.freeze()  # a run need not go through a million objects of modules each time that it looks for garbage


def imported() -> list[str]:
    """The files of all modules that were imported."""
    files = (getattr(module, "__dict__", {}).get("__file__") for module in [*sys.modules.values()])
    return sorted({file for file in files if isinstance(file, str)})


def facts(files: Sequence[str]) -> list[tuple[int, int, int] | None]:
    """What changes when a file is written or replaced; None for one that is not there."""
    return [*map(_facts, files)]


def _facts(file: str) -> tuple[int, int, int] | None:
    with suppress(OSError):
        found = Path(file).stat()
        return found.st_mtime_ns, found.st_size, found.st_ino
    return None


def main() -> None:
    """Wait for the environment of a run, as JSON. Without one the worker is gone, or needs no spare."""
    prepare()
    files = imported()
    then = facts(files)
    given = sys.stdin.buffer.read()
    if not given:
        return
    os.environ.clear()
    os.environ.update(json.loads(given))
    if facts(files) != then:
        os.execv(sys.executable, [sys.executable, "-m", ENGINE])  # noqa: S606 - no shell is wanted
    sys.argv = [ENGINE]
    warnings.filterwarnings("ignore", message=".*found in sys.modules", category=RuntimeWarning, module="runpy")
    runpy.run_module(ENGINE, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
