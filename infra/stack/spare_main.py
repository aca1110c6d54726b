"""A process of `spare.py`: imports what a deletion needs, waits for a run on its standard input, and carries it out."""

import gc
import importlib
import json
import os
import runpy
import sys
import warnings
from contextlib import suppress

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


def main() -> None:
    """Wait for the environment of a run, as JSON. Without one the worker is gone, or needs no spare."""
    prepare()
    given = sys.stdin.buffer.read()
    if not given:
        return
    os.environ.clear()
    os.environ.update(json.loads(given))
    sys.argv = [ENGINE]
    warnings.filterwarnings("ignore", message=".*found in sys.modules", category=RuntimeWarning, module="runpy")
    runpy.run_module(ENGINE, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
