"""How closely does each method align with the gold? Five seeds, five golds a seed, a random tenth forgotten.

    python -m bench.alignment digits fashion-mnist --seeds 0-4 --jobs 2

A seed is a whole world of its own: split, forget set, original, golds, twin, methods. Everything goes through the same
steps as a real deletion; a run that was stopped goes on where it was. Fashion-MNIST is read from the folder that
TMU_SHARED_DATA names (its subfolder `fashion-mnist`). Writes results/alignment.parquet, .md and .png.
"""

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench import alignment_page as render
from bench import results

SUITE, FORGET_SET, SHARE = "alignment", "random 10 %", 0.10
METHODS = ("finetune", "random-label", "tmu", "tmu-soft")
WORLDS = Path(__file__).parents[1] / ".bench"

# what each dataset needs beyond the defaults of params.yaml
RECIPES: dict[str, dict[str, Any]] = {
    "digits": {"layout": {"holdout": 0.35, "test": 0.35}, "options": {}, "train": {}, "twin": {}},
    "fashion-mnist": {
        "layout": {},
        "options": {"train": 12_000, "holdout": 6_000},
        "train": {"epochs": 12, "batch_size": 128},
        "twin": {"train": {"epochs": 5, "batch_size": 128, "lr": 0.05}},
    },
}


def world(dataset: str, seed: int, golds: int) -> list[dict[str, Any]]:
    """Everything for one dataset and seed: rows for the results table."""
    from bench.world import build_world, measure

    started = time.perf_counter()
    rows = measure(build_world(WORLDS / f"{dataset}-{seed}", dataset, RECIPES[dataset], seed, SHARE), METHODS, golds)
    print(f"{dataset} seed {seed}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return rows


def main() -> None:
    """Run the worlds that are not stored yet, `--jobs` processes at a time, then render."""
    options = _arguments()
    if options.one is not None:
        dataset, seed = options.datasets[0], options.one
        rows = world(dataset, seed, options.golds)
        common = {"dataset": dataset, "forget_set": FORGET_SET, "seed": seed, "command": _command(options)}
        with _one_writer():
            results.add(SUITE, [{**common, **row} for row in rows])
        return
    first, _, last = options.seeds.partition("-")
    stored = results.read(SUITE)
    wanted = [(dataset, seed) for dataset in options.datasets for seed in range(int(first), int(last or first) + 1)]
    missing = [w for w in wanted if w[1] not in results.values(stored, dataset=w[0], method="gold", metric="ua")]
    with ThreadPoolExecutor(options.jobs) as pool:
        codes = list(pool.map(lambda w: _in_process(w[0], w[1], options.golds), missing))
    render.render(SUITE, sorted(set(results.read(SUITE)["dataset"].to_pylist()), reverse=True))
    sys.exit(max(codes, default=0))


def _in_process(dataset: str, seed: int, golds: int) -> int:
    command = [sys.executable, "-m", "bench.alignment", dataset, "--one", str(seed), "--golds", str(golds)]
    return subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False).returncode


def _one_writer():
    from tmu.stores.lock import locked

    return locked(WORLDS / ".results.lock")


def _command(options: argparse.Namespace) -> str:
    return f"python -m bench.alignment {options.datasets[0]} --seeds {options.one} --golds {options.golds}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", choices=sorted(RECIPES))
    parser.add_argument("--seeds", default="0-4", help="a seed or a range, such as 0-4")
    parser.add_argument("--golds", type=int, default=5, help="golds a seed; the first is paired with the original")
    parser.add_argument("--jobs", type=int, default=2, help="worlds at a time; one thread each")
    parser.add_argument("--one", type=int, default=None, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
