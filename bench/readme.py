"""The README's numbers, from stored results alone: `python -m bench.readme` writes them between the two marks."""

import re
from pathlib import Path

import pyarrow as pa

from bench import results
from bench.statistics import over_seeds
from tmu.files import write_atomic

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- measured: python -m bench.readme -->", "<!-- /measured -->"
ROWS = {
    "original": "original (nothing done)",
    "random-label": "random labels",
    "finetune": "fine-tuning on what is kept",
    "random choice": "right fraction, random choice",
    "tmu": "`tmu`, hard labels",
    "tmu-soft": "`tmu-soft`, the default",
    "second gold": "a second gold: the noise floor",
}
METRICS = {"average_gap": "average gap, points", "activation_distance": "activation distance"}


def measured(table: pa.Table) -> str:
    """The README's table: gap and distance to the gold by dataset, mean and 95 % interval over seeds."""
    datasets = [name for name in ("fashion-mnist", "digits") if name in table["dataset"].to_pylist()]
    heads = [f"{dataset}: {title}" for dataset in datasets for title in METRICS.values()]
    lines = ["| lower is better | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for method, name in ROWS.items():
        cells = [_cell(table, dataset, method, metric) for dataset in datasets for metric in METRICS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", _facts(table, datasets)])


def _cell(table: pa.Table, dataset: str, method: str, metric: str) -> str:
    e = over_seeds(results.values(table, dataset=dataset, method=method, metric=metric))
    return (
        f"{e.mean:.2f} ({e.low:.2f} to {e.high:.2f})"
        if metric == "average_gap"
        else (f"{e.mean:.3f} ({e.low:.3f} to {e.high:.3f})")
    )


def _facts(table: pa.Table, datasets: list[str]) -> str:
    seeds = len(results.values(table, dataset=datasets[0], method="original", metric="ua"))
    costs = " and ".join(_cost(table, dataset) for dataset in datasets)
    hardware = next(row["hardware"] for row in table.to_pylist())
    return (
        f"Random tenth of the training records forgotten; mean and 95 % interval over {seeds} seeds, each against five "
        f"golds. Fashion-MNIST: 12,000 training records, small ResNet. In retrainings, `tmu-soft` costs {costs}: at "
        f"this scale retraining is the cheaper way once the twin is counted. Measured on: {hardware}."
    )


def _cost(table: pa.Table, dataset: str) -> str:
    """Seconds of the method over seconds of a gold, without and with the twin in full."""
    seconds = {
        row: results.values(table, dataset=dataset, method=row, metric="seconds_alone")
        for row in ("gold", "tmu-soft", "twin")
    }
    gold = seconds["gold"]
    alone = over_seeds({seed: seconds["tmu-soft"][seed] / gold[seed] for seed in gold}).mean
    whole = over_seeds({seed: (seconds["tmu-soft"][seed] + seconds["twin"][seed]) / gold[seed] for seed in gold}).mean
    return f"{alone:.1f} alone and {whole:.1f} with its twin ({dataset})"


def main() -> None:
    """Replace what stands between the marks."""
    text = README.read_text()
    block = f"{BEGIN}\n\n{measured(results.read('alignment'))}\n\n{END}"
    write_atomic(README, re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: block, text, flags=re.S).encode())


if __name__ == "__main__":
    main()
