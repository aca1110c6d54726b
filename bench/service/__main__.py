"""Measure the deletion service: `python -m bench.service intake|planning|start|overhead|batch`.

`intake` and `planning` use a private PostgreSQL; the others the servers of `make up` in a new workspace.

Writes rows into results/service.parquet and renders results/service.md.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from bench import results
from bench.service import intake, on_stack, page, planning, starts
from bench.service.postgres import Postgres, programs
from bench.stamp import stamp
from infra.stack.programs import has_ceph

_DATABASE = {"intake": intake.measure, "planning": planning.measure}
_STACK = {"start": starts.measure, "overhead": on_stack.overhead, "batch": on_stack.batch}


_SIZES = {
    "intake": {"requests": 10_000, "clients": 64},
    "planning": {"records": 1_000_000, "requests": 10_000},
    "start": {"starts": 3},
    "overhead": {"deletions": 5},
    "batch": {"pairs": 3, "many": 200},
}


def run(name: str, sizes: dict[str, int], folder: Path | None = None) -> intake.Rows:
    """Measure and store; returns the rows. folder: of the results, None: the usual one."""
    load, began = os.getloadavg()[0], time.perf_counter()
    rows = _STACK[name](**sizes) if name in _STACK else _on_database(name, sizes)
    rows |= {"load_when_it_began": (load, "processes")}  # a busy machine is slower
    command = " ".join([f"python -m bench.service {name}", *(f"--{key} {value}" for key, value in sizes.items())])
    common = {
        "dataset": "digits" if name in _STACK else "synthetic",
        "forget_set": "",
        "method": name,
        "seed": 0,
        "command": command,
    }
    common |= {"seconds": time.perf_counter() - began, **stamp(threads=1)}
    if name in _STACK:  # what a deletion waits for most
        common["hardware"] += f", S3 {'ceph' if has_ceph() else 'moto (a stand-in, in memory)'}"
    stored = [{**common, "metric": metric, "value": value, "unit": unit} for metric, (value, unit) in rows.items()]
    results.add(page.SUITE, stored, folder, cells=True)
    return rows


def _on_database(name: str, sizes: dict[str, int]) -> intake.Rows:
    postgres = Postgres().start()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            return _DATABASE[name](Path(scratch), postgres, **sizes)
    finally:
        postgres.remove()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="name", required=True)
    for name, sizes in _SIZES.items():
        verb = verbs.add_parser(name, help=page.TITLES[name])
        for size, default in sizes.items():
            verb.add_argument(f"--{size}", type=int, default=default)
    options = vars(parser.parse_args())
    if programs() is None:
        parser.error("PostgreSQL is not installed (Debian: postgresql-15)")
    for metric, (value, unit) in run(options.pop("name"), options).items():
        print(f"{metric:32} {value:12.4g} {unit}")
    print(page.render())


if __name__ == "__main__":
    main()
