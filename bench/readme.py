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
SUITE, NATURAL, DEFAULT = "cpu-small", "cpu-cifar", "tmu-soft"
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
NATURAL_COLUMNS = [("random-10", *GAP), ("random-10", *DISTANCE), ("worst-case-10", *GAP), ("worst-case-10", *DISTANCE)]


def measured(small: pa.Table, natural: pa.Table) -> str:
    """The README's numbers: gap and distance to the gold by forget set, mean and 95 % interval over seeds.

    `small`, `natural`: the stored results of the suites `SUITE` and `NATURAL`.
    """
    parts = [_grid(small, COLUMNS), _small_facts(small), _verdict(small)]
    parts += [_natural_facts(natural), _grid(natural, NATURAL_COLUMNS), _verdict(natural)]
    return "\n\n".join(parts)


def _grid(table: pa.Table, columns: list[tuple[str, str, str, int]]) -> str:
    heads = [f"{FORGET_SETS[forget]}: {title}" for forget, _, title, _ in columns]
    lines = ["| lower is better | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for method, name in ROWS.items():
        cells = [_cell(table, forget, method, metric, places) for forget, metric, _, places in columns]
        if any(cell != "–" for cell in cells):
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(table: pa.Table, forget: str, method: str, metric: str, places: int) -> str:
    values = results.values(table, forget_set=forget, method=method, metric=metric)
    if not values:
        return "–"
    e = over_seeds(values)
    return f"{e.mean:.{places}f} ({e.low:.{places}f} to {e.high:.{places}f})"


def _small_facts(table: pa.Table) -> str:
    return (
        f"Gap: the average gap, in points. Fashion-MNIST, 12,000 training records, small ResNet. Mean and 95 % "
        f"interval over {_seeds(table)} seeds, each row against the same five golds. One deletion by `tmu-soft` costs "
        f"{_cost(table, 'alone')} retrainings, {_cost(table, 'whole')} with a twin of its own: at this scale "
        f"retraining is the cheaper way until a twin serves several requests. {_origin(table)}"
    )


def _natural_facts(table: pa.Table) -> str:
    return (
        f"The same on natural images: CIFAR-10, 10,000 training records, ResNet-9, {_seeds(table)} seeds, three golds; "
        f"{_cost(table, 'alone')} retrainings, {_cost(table, 'whole')} with a twin. {_origin(table)}"
    )


def _seeds(table: pa.Table) -> int:
    return len(results.values(table, forget_set="random-10", method="original", metric="ua"))


def _cost(table: pa.Table, kind: str) -> str:
    ratios = results.values(table, forget_set="random-10", method=DEFAULT, metric=f"seconds_ratio_{kind}")
    return f"{over_seeds(ratios).mean:.1f}"


def _origin(table: pa.Table) -> str:
    row = next(row for row in table.to_pylist() if row["method"] == DEFAULT)
    return f"`{row['command']}`, on: {row['hardware']}."


def _verdict(table: pa.Table) -> str:
    (dataset,) = set(table["dataset"].to_pylist())
    said = next(line for line in summary(Cells.of(table, dataset)) if "Best or tied in both" in line)
    return f"`{DEFAULT}`, gap and distance, among the methods measured on each set: {said.removeprefix('- ')}"


def main() -> None:
    """Replace what stands between the marks."""
    text = README.read_text()
    block = f"{BEGIN}\n\n{measured(results.read(SUITE), results.read(NATURAL))}\n\n{END}"
    text = re.sub(f"{re.escape(BEGIN)}.*{re.escape(END)}", lambda _: block, text, flags=re.S)
    write_atomic(README, text.encode(), private=False)


if __name__ == "__main__":
    main()
