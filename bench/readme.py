"""The README's numbers, from stored results alone: `python -m bench.readme` writes them between the two marks."""

import re
from pathlib import Path

import pyarrow as pa

from bench import results
from bench.statistics import over_seeds
from bench.tables.cells import Cells
from bench.tables.summary import summary
from tmu.files import write_atomic

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- measured: python -m bench.readme -->", "<!-- /measured -->"
SUITE, DEFAULT = "cpu-small", "tmu-soft"
FORGET_SETS = {
    "random-10": "a random tenth",
    "person": "one person",
    "class-part": "a fifth of a class",
    "high-memorisation-10": "the hardest tenth",
    "worst-case-10": "the easiest tenth",
}
ROWS = {
    "original": "original (nothing done)",
    "finetune": "fine-tuning on what is kept",
    "l1-sparse": "l1-sparse",
    "salun": "SalUn",
    "sfr-on": "SFR-on",
    "regun": "ReGUn",
    "random choice": "right fraction, random choice",
    "tmu": "`tmu`, hard labels",
    DEFAULT: "`tmu-soft`, the default",
    "second gold": "a second gold: the noise floor",
}
GAP, DISTANCE = ("average_gap", "gap", 2), ("activation_distance", "distance", 3)
COLUMNS = [("random-10", *GAP), ("random-10", *DISTANCE), *((name, *GAP) for name in list(FORGET_SETS)[1:])]


def measured(table: pa.Table) -> str:
    """The README's table: gap and distance to the gold by forget set, mean and 95 % interval over seeds."""
    heads = [f"{FORGET_SETS[forget]}: {title}" for forget, _, title, _ in COLUMNS]
    lines = ["| lower is better | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for method, name in ROWS.items():
        cells = [_cell(table, forget, method, metric, places) for forget, metric, _, places in COLUMNS]
        if any(cell != "–" for cell in cells):
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", _facts(table), "", _verdict(table)])


def _cell(table: pa.Table, forget: str, method: str, metric: str, places: int) -> str:
    values = results.values(table, forget_set=forget, method=method, metric=metric)
    if not values:
        return "–"
    e = over_seeds(values)
    return f"{e.mean:.{places}f} ({e.low:.{places}f} to {e.high:.{places}f})"


def _facts(table: pa.Table) -> str:
    first = next(iter(FORGET_SETS))
    seeds = len(results.values(table, forget_set=first, method="original", metric="ua"))
    alone, whole = (
        over_seeds(results.values(table, forget_set=first, method=DEFAULT, metric=f"seconds_ratio_{kind}")).mean
        for kind in ("alone", "whole")
    )
    row = next(row for row in table.to_pylist() if row["method"] == DEFAULT)
    return (
        f"Gap: the average gap, in points. Fashion-MNIST, 12,000 training records, small ResNet. Mean and 95 % "
        f"interval over {seeds} seeds, each row "
        f"against the same five golds. One deletion by `tmu-soft` costs {alone:.1f} retrainings, {whole:.1f} with a "
        f"twin of its own: at this scale retraining is the cheaper way until a twin serves several requests. "
        f"`{row['command']}`, on: {row['hardware']}."
    )


def _verdict(table: pa.Table) -> str:
    (dataset,) = set(table["dataset"].to_pylist())
    said = next(line for line in summary(Cells.of(table, dataset)) if "Best or tied in both" in line)
    return f"`{DEFAULT}`, gap and distance, among the methods measured on each set: {said.removeprefix('- ')}"


def main() -> None:
    """Replace what stands between the marks."""
    text = README.read_text()
    block = f"{BEGIN}\n\n{measured(results.read(SUITE))}\n\n{END}"
    write_atomic(README, re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: block, text, flags=re.S).encode())


if __name__ == "__main__":
    main()
