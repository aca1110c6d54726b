"""The README's numbers, from stored results alone: `python -m bench.readme` writes them between the marks."""

import re
from pathlib import Path

import pyarrow as pa

from bench import results
from bench.figures import tradeoff
from bench.person_costs import person_costs
from bench.statistics import over_seeds
from bench.tables.cells import DEFAULT, EARLIER, VERDICT, Cells
from bench.tables.columns import times
from bench.tables.summary import summary
from tmu.audit.drawing import png
from tmu.files import write_atomic

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- measured: python -m bench.readme -->", "<!-- /measured -->"
COSTS_BEGIN, COSTS_END = "<!-- costs: python -m bench.readme -->", "<!-- /costs -->"
SUITE, NATURAL = "cpu-small", "cpu-cifar"
_DPI = 110
PICTURE, PICTURED = results.FOLDER / "readme-tradeoff.png", ("random-10", "random-1", "person")
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
    "early-retrain at our cost": "retraining stopped at our cost",
    "oracle-matching": "oracle matching",
    "tmu": "`tmu`, hard labels",
    EARLIER: "`tmu-soft` before references",
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
    return "\n\n".join(part for part in parts if part)


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
    if not values or len(values) < _seeds(table):  # a row with fewer seeds than the caption says has no interval
        return "–"
    e = over_seeds(values)
    return f"{e.mean:.{places}f} ({e.low:.{places}f} to {e.high:.{places}f})"


def _small_facts(table: pa.Table) -> str:
    return (
        f"Gap: the average gap, in points. Fashion-MNIST, 12,000 training records, small ResNet. Mean and 95 % "
        f"interval over {_seeds(table)} seeds, each row against the same five golds. {_costs(table)}{_origin(table)}"
    )


def _natural_facts(table: pa.Table) -> str:
    return (
        f"The same on natural images: CIFAR-10, 10,000 training records, ResNet-9, {_seeds(table)} seeds, three golds. "
        f"{_so_far(table)}{_costs(table)}{_origin(table)}"
    )


def _so_far(table: pa.Table) -> str:
    """The default's numbers on a random tenth where it lacks seeds, beside those of others on the same seeds."""
    mine = results.values(table, forget_set="random-10", method=DEFAULT, metric=GAP[0])
    if not 0 < len(mine) < _seeds(table):
        return ""
    told = []
    for method in (DEFAULT, "original", "second gold"):
        means = []
        for metric, name, places in (GAP, DISTANCE):
            of = results.values(table, forget_set="random-10", method=method, metric=metric)
            means.append(f"{name} {over_seeds({seed: of[seed] for seed in mine}).mean:.{places}f}")
        told.append(f"{ROWS[method]}: {', '.join(means)}")
    return f"A random tenth on {len(mine)} of the seeds: {'; '.join(told)}. "


def _seeds(table: pa.Table) -> int:
    return len(results.values(table, forget_set="random-10", method="original", metric="ua"))


def _costs(table: pa.Table) -> str:
    """What a deletion by the default costs by forget set, and once."""
    names = {"random-10": "a random tenth", "random-1": "a random hundredth", "person": "one person"}
    found = {words: _ratio(table, name, "alone") for name, words in names.items()}
    known = [f"{words}: {value}" for words, value in found.items() if value]
    if not known:
        return ""
    audit = _ratio(table, f"{VERDICT}random-10", "audit")
    known += [f"its audit without golds: {audit}{_lacking(table)}"] if audit else []
    known.append(f"its references, once: {_ratio(table, 'random-10', 'references')}")
    return f"Retrainings that one deletion by `{DEFAULT}` costs: {', '.join(known)}. "


def _lacking(table: pa.Table) -> str:
    """How many seeds the audit's cost is of, where it lacks some."""
    where = {"forget_set": f"{VERDICT}random-10", "method": DEFAULT, "metric": "seconds_ratio_audit"}
    n = len(results.values(table, **where))
    return f" ({n} seed{'s' if n > 1 else ''} of the random tenth)" if n < _seeds(table) else ""


def _ratio(table: pa.Table, forget: str, kind: str) -> str:
    ratios = results.values(table, forget_set=forget, method=DEFAULT, metric=f"seconds_ratio_{kind}")
    return times(over_seeds(ratios).mean) if ratios else ""


def _origin(table: pa.Table) -> str:
    rows = {row["method"]: row for row in table.to_pylist()}
    row = rows.get(DEFAULT) or rows[EARLIER]
    return f"`{row['command']}`, on: {row['hardware']}."


def _verdict(table: pa.Table) -> str:
    """How often the default is best; nothing before it was measured."""
    (dataset,) = set(table["dataset"].to_pylist())
    said = [line for line in summary(Cells.of(table, dataset)) if "Best or tied in both" in line]
    if not said:
        return ""
    return f"`{DEFAULT}`, gap and distance, among the methods measured on each set: {said[0].removeprefix('- ')}"


def picture(small: pa.Table) -> bytes:
    """The README's picture, as PNG."""
    (dataset,) = set(small["dataset"].to_pylist())
    return png(tradeoff.draw(Cells.of(small, dataset), PICTURED), _DPI)


def main() -> None:
    """Replace what stands between the marks, and the picture."""
    text = _between(README.read_text(), BEGIN, END, measured(results.read(SUITE), results.read(NATURAL)))
    text = _between(text, COSTS_BEGIN, COSTS_END, person_costs())
    write_atomic(README, text.encode(), private=False)
    write_atomic(PICTURE, picture(results.read(SUITE)), private=False)


def _between(text: str, begin: str, end: str, said: str) -> str:
    block = f"{begin}\n\n{said}\n\n{end}"
    return re.sub(f"{re.escape(begin)}.*{re.escape(end)}", lambda _: block, text, flags=re.S)


if __name__ == "__main__":
    main()
