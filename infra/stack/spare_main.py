"""A process of `spare.py`: imports what a deletion needs, waits for a run on its standard input, and carries it out."""

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
)


def prepare() -> None:
    """Import all; what cannot be imported fails in the run itself, where somebody is told."""
    for name in WARM:
        with suppress(Exception):
            importlib.import_module(name)


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
