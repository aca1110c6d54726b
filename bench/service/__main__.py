"""Measure the deletion service against a private PostgreSQL: `python -m bench.service intake|planning`.

Writes rows into results/service.parquet and renders results/service.md.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from bench import results
from bench.service import intake, page, planning
from bench.service.postgres import Postgres, programs
from bench.stamp import stamp

_MEASURES = {"intake": intake.measure, "planning": planning.measure}


def run(name: str, sizes: dict[str, int], folder: Path | None = None) -> intake.Rows:
    """Measure and store; returns the rows. folder: of the results, None: the usual one."""
    load, began = os.getloadavg()[0], time.perf_counter()
    postgres = Postgres().start()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            rows = _MEASURES[name](Path(scratch), postgres, **sizes)
    finally:
        postgres.remove()
    rows |= {"load_when_it_began": (load, "processes")}  # a busy machine is slower
    command = " ".join([f"python -m bench.service {name}", *(f"--{key} {value}" for key, value in sizes.items())])
    common = {"dataset": "synthetic", "forget_set": "", "method": name, "seed": 0, "command": command}
    common |= {"seconds": time.perf_counter() - began, **stamp(threads=1)}
    stored = [{**common, "metric": metric, "value": value, "unit": unit} for metric, (value, unit) in rows.items()]
    results.add(page.SUITE, stored, folder, cells=True)
    return rows


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="name", required=True)
    asked = {"intake": {"requests": 10_000, "clients": 64}, "planning": {"records": 1_000_000, "requests": 10_000}}
    for name, sizes in asked.items():
        verb = verbs.add_parser(name, help=sys.modules[f"bench.service.{name}"].__doc__.splitlines()[0])
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
