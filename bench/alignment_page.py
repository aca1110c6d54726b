"""Tables and the figure of the suite `alignment`, from its stored results alone; other suites: `bench/render.py`."""

from pathlib import Path

import pyarrow as pa
from matplotlib.figure import Figure

from bench import results
from bench.statistics import Estimate, over_seeds, paired

COLUMNS = {
    "ua": "UA (%) → gold",
    "accuracy_retain": "RA (%) → gold",
    "accuracy_test": "TA (%) → gold",
    "mia_efficacy": "MIA (%) → gold",
    "average_gap": "avg gap (pts) ↓",
    "activation_distance": "activation distance ↓",
    "label_agreement": "agreement (%) ↑",
    "membership_tpr_at_1pct_fpr": "TPR at 1 % FPR (%) → gold",
    "seconds_alone": "seconds, without twin",
}
ROWS = ("original", "gold", "second gold", "random choice", "finetune", "random-label", "tmu", "tmu-soft")
COLOURS = {"original": "#4d4d4d", "second gold": "#8a6100", "random-label": "#cc79a7", "tmu": "#56b4e9"}
TESTED = (
    ("tmu", "original"),
    ("tmu", "random-label"),
    *(("tmu-soft", other) for other in ("original", "random-label", "finetune", "second gold")),
)


def render(suite: str, datasets: list[str]) -> Path:
    """Write results/<suite>.md and .png; returns the table's path."""
    table = results.read(suite)
    parts = [_section(table, dataset) for dataset in datasets if dataset in table["dataset"].to_pylist()]
    path = results.FOLDER / f"{suite}.md"
    path.write_text(
        f"# {suite}: measured results\n\nMade by `bench/alignment_page.py`; do not edit.\n\n" + "\n".join(parts)
    )
    _figure(table, [d for d in datasets if d in table["dataset"].to_pylist()]).savefig(
        results.FOLDER / f"{suite}.png", dpi=120, metadata={"Software": None}
    )
    return path


def _section(table: pa.Table, dataset: str) -> str:
    seeds = sorted(results.values(table, dataset=dataset, method="original", metric="ua"))
    rows = table.to_pylist()
    one = next(row for row in rows if row["dataset"] == dataset)
    lines = [
        f"## {dataset}, {one['forget_set']}, seeds {seeds}",
        "",
        f"`{one['command']}` (and so on); {one['hardware']}; mean over seeds [95 % interval, Student's t]. "
        "Rows are measured against all five golds but themselves.",
        "",
        "| row | " + " | ".join(COLUMNS.values()) + " |",
        "|---" * (len(COLUMNS) + 1) + "|",
    ]
    for method in ROWS:
        cells = [_cell(results.values(table, dataset=dataset, method=method, metric=metric)) for metric in COLUMNS]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *_differences(table, dataset), "", *_predictor(table, dataset), ""])


def _cell(values: dict[int, float]) -> str:
    if not values:
        return "–"
    estimate = over_seeds(values)
    return f"{estimate.mean:.3g} [{estimate.low:.3g}, {estimate.high:.3g}]"


def _differences(table: pa.Table, dataset: str) -> list[str]:
    lines = ["Paired differences over seeds (below zero: the first is better):", ""]
    for first, second in TESTED:
        for metric in ("average_gap", "activation_distance"):
            pair = [results.values(table, dataset=dataset, method=name, metric=metric) for name in (first, second)]
            estimate = paired(*pair)
            word = "below" if estimate.high < 0 else "above" if estimate.low > 0 else "not distinguishable from"
            lines.append(f"- {COLUMNS[metric][:-2]}: {first} - {second} = {estimate}: {word} zero")
    return lines


def _predictor(table: pa.Table, dataset: str) -> list[str]:
    def number(metric: str) -> Estimate | None:
        found = results.values(table, dataset=dataset, method="twin", metric=metric)
        return over_seeds(found) if found else None

    return [
        'AUROC of the predictor for "a gold gets it wrong":',
        "",
        f"- against each single gold, mean: {number('auroc_single_gold')}",
        f"- ceiling, the other golds predicting one: {number('auroc_ceiling')}",
        f"- against the mean of the golds: {number('auroc_mean_gold')}",
        f"- on the twin itself, cross-fitted: {number('auroc_on_twin')}",
        f"- seconds of the twin, once per model and data revision: {number('seconds_alone')}",
    ]


def _figure(table: pa.Table, datasets: list[str]) -> Figure:
    figure = Figure(figsize=(11, 3.2 * len(datasets)), layout="constrained")
    axes = figure.subplots(len(datasets), 2, squeeze=False)
    shown = [row for row in ROWS if row != "gold"]
    for line, dataset in enumerate(datasets):
        for column, metric in enumerate(("average_gap", "activation_distance")):
            axis = axes[line][column]
            found = {row: results.values(table, dataset=dataset, method=row, metric=metric) for row in shown}
            estimates = {row: over_seeds(v) for row, v in found.items() if v}
            floor = estimates["second gold"]
            axis.axvspan(max(0.0, floor.low), floor.high, color="#e69f00", alpha=0.25, lw=0)
            for place, (row, e) in enumerate(reversed(estimates.items())):
                axis.barh(place, e.mean, color=COLOURS.get(row, "#0072b2" if row == "tmu-soft" else "#b0b0b0"))
                axis.plot([e.low, e.high], [place, place], color="black", lw=1.2)
            axis.set_yticks(range(len(estimates)), [*reversed(estimates)])
            axis.set_xlabel(COLUMNS[metric].replace(" ↓", " to gold, lower is better"))
            axis.set_title(dataset, loc="left", fontweight="bold")
            axis.set_xlim(left=0)
            axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(
        "How far from the gold? (band: an independent gold, the noise floor; lines: 95 %)", x=0.01, ha="left"
    )
    return figure
