"""Measure the engine beside plain loops: `python -m bench.speed [--cifar FOLDER] [--avx2] [--pairs N] [--toy]`.

Writes rows into results/speed.parquet and renders results/speed.md. Ratios are of CPU seconds and of wall time, taken
in turns in one process; with one thread the two are the same on a quiet machine, and on a busy one the first is right.
"""

import argparse
import math
import os
import shlex
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from tmu.errors import TmuError

SUITE = "speed"
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifar", type=Path, help="CIFAR-10 as torchvision unpacks it; default: digits, enlarged")
    parser.add_argument("--avx2", action="store_true", help="as on a processor without AVX-512 and bf16")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--toy", action="store_true", help="tiny, to see that it runs")
    parser.add_argument("--results", type=Path, help="folder of the results; default: bench/results")
    options = parser.parse_args()
    if options.avx2 and any(os.environ.get(name) != value for name, value in AVX2.items()):
        # libraries read it when they are loaded
        os.execve(sys.executable, [sys.executable, "-m", "bench.speed", *sys.argv[1:]], {**os.environ, **AVX2})  # noqa: S606
    try:
        print("\n".join(measure(options)))
    except TmuError as error:
        parser.error(f"{error.what} {error.hint}")


def measure(options: argparse.Namespace) -> list[str]:
    """Measure, store, render; a line for each ratio."""
    import torch

    from bench import results
    from bench.speed import cases, pairs
    from bench.speed.loops import BESIDE, LOOPS, PLAIN
    from bench.speed.page import render
    from bench.stamp import stamp

    torch.set_num_threads(options.threads)
    began, load = time.perf_counter(), os.getloadavg()[0]
    precision = "fp32" if options.avx2 else "auto"
    rows: list[dict[str, Any]] = []
    for case in cases.cases(cases.TOY if options.toy else cases.SIZES, options.cifar):
        names = [*LOOPS] if case.images.shape[-1] <= 64 else [BESIDE[PLAIN], PLAIN]
        found = pairs.turns(case.in_precision(precision), names, options.pairs)
        rows += _rows(case.name, found)
    command = "python -m bench.speed" + "".join(
        f" {shlex.quote(part)}" for part in sys.argv[1:] if part != str(options.cifar)
    )
    where = "processor limited to AVX2" if options.avx2 else "processor as it is"
    common = {"dataset": "cifar10" if options.cifar else "digits, enlarged", "forget_set": where}
    common |= {"seed": 0, "command": command, "seconds": time.perf_counter() - began}
    common |= stamp(threads=options.threads)
    rows.append({"method": "all", "metric": "load when it began", "value": load, "unit": "processes"})
    results.add(SUITE, [{**common, **row} for row in rows], options.results, cells=True)
    render(options.results)
    return [f"{row['method']:45} {row['metric']:40} {row['value']:8.3f} {row['unit']}" for row in rows]


def _rows(case: str, found: dict[str, Any]) -> list[dict[str, Any]]:
    """Of one case: what each loop took, and how many times as long as the engine that does the same."""
    from bench.speed.loops import BESIDE
    from bench.speed.pairs import ratio

    rows = []
    for name, turns in found.items():
        method = f"{case}: {name}"
        numbers = {
            ("seconds", "s"): statistics.fmean(turn.seconds for turn in turns),
            ("CPU seconds", "s"): statistics.fmean(turn.cpu for turn in turns),
            ("test accuracy", "%"): statistics.fmean(turn.accuracy_pct for turn in turns),
        }
        if name in BESIDE:
            for what in ("seconds", "cpu"):
                told = "wall time" if what == "seconds" else "CPU time"
                ours = [getattr(turn, what) for turn in found[BESIDE[name]]]
                middle, low, high = ratio([getattr(turn, what) for turn in turns], ours)
                numbers |= {(f"over the engine, {told}", "x"): middle}
                numbers |= {(f"over the engine, {told}, low", "x"): low, (f"over the engine, {told}, high", "x"): high}
        rows += [
            {"method": method, "metric": metric, "value": value, "unit": unit}
            for (metric, unit), value in numbers.items()
            if not math.isnan(value)
        ]
    return rows


if __name__ == "__main__":
    main()
