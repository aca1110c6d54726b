"""What twenty-one versions of a model tell together about twenty people: `python -m bench.difference`.

The embedded digits, one original, one table of references; twenty people are deleted one after the other by tmu-soft.
Whoever keeps all versions compares their answers (`tmu/audit/difference.py`). Beside it stand pairs of golds, retrained
without the same people from the same seed: what exact retraining gives away is the floor.
"""

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from bench import results
from bench.runner.cache import Cache, load_outputs, read_run
from bench.runner.deletions import audited_step, chain
from bench.runner.ground import ground_file, load_ground
from bench.runner.made import Made, Step
from bench.runner.models import Workshop
from bench.runner.plan import OUTCOMES, Task, stream_name
from bench.stamp import stamp
from bench.suite import Suite
from bench.tables.markdown import grid
from tmu.audit.bootstrap import Value
from tmu.audit.difference import composition
from tmu.audit.outputs import logit_confidence
from tmu.files import write_atomic, write_json
from tmu.train.lane import exact

COMMAND = "python -m bench.difference"
METHOD, GOLDS, SEED, RESAMPLES = "tmu-soft", "gold pairs", 0, 1000
_SMALL = {"name": "small_resnet", "options": {"width": 8}}


def main(
    deletions: Annotated[int, typer.Option(min=1, help="People, one after the other.")] = 20,
    epochs: Annotated[int, typer.Option(min=1, help="Of the original, of each reference and gold.")] = 20,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = results.FOLDER,
) -> None:
    """Measure and store `difference.json` and `difference.md`."""
    with tempfile.TemporaryDirectory(prefix="tmu-difference-") as folder, exact(1):
        found = measured(suite_of(deletions, epochs), Path(folder))
    found |= {"command": f"{COMMAND} --deletions {deletions} --epochs {epochs}", "seed": SEED, **stamp(threads=1)}
    write_json(out / "difference.json", found)
    write_atomic(out / "difference.md", page(found).encode())
    typer.echo(out / "difference.md")


def suite_of(deletions: int, epochs: int) -> Suite:
    """The digits with small networks, and a stream of single people."""
    stream = {"deletions": deletions, "people": True, "first": 1, "seeds": [SEED], "methods": [METHOD]}
    fields: dict[str, Any] = {
        "name": "difference",
        "title": "digits: people deleted one after the other",
        "dataset": "digits",
        "layout": {"holdout": 0.35, "test": 0.35},
        "model": _SMALL,
        "train": {"epochs": epochs},
        "references": {"pairs": 2},
        "seeds": [SEED],
        "methods": {METHOD: {}},
        "stream": stream,
    }
    return Suite.model_validate(fields)


def measured(suite: Suite, home: Path) -> dict[str, Any]:
    """The attack on the versions of the method and on the golds, and what the audits of the deletions said."""
    shop = Workshop(suite, load_ground(ground_file(suite, home), "cpu"), Cache(home / suite.name), "cpu")
    last = stream_name(suite, suite.stream.deletions)
    steps = chain(shop, Task("method", last, METHOD, SEED), {})
    table = shop.help(METHOD, SEED).table
    audits = [read_run(audited_step(shop, step, table)) for step in steps]
    # the original of a gold's seed is the gold of nothing
    golds = [shop.original(10_000), *(shop.gold(step.request, 0) for step in steps)]
    versions = {METHOD: [steps[0].start, *(step.made for step in steps)], GOLDS: golds}
    attacks = {name: attacked(shop, steps, made) for name, made in versions.items()}
    people = [
        {
            "deletion": number,
            "records": int(step.request.now.sum()),
            "outcome": audit["outcome"],
            "p_member": audit["p_member"],
            **{name: each["steps"][number - 1] for name, each in attacks.items()},
        }
        for number, (step, audit) in enumerate(zip(steps, audits, strict=True), 1)
    ]
    said = {name: sum(audit["outcome"] == name for audit in audits) for name in OUTCOMES}
    whole = {name: {"together": each["together"], "placed": each["placed"]} for name, each in attacks.items()}
    return {"people": people, "verdicts": said, "whole": whole, "never_learned": len(shop.ground.test)}


def attacked(shop: Workshop, steps: list[Step], versions: list[Made]) -> dict[str, Any]:
    """The difference attack on versions, oldest first; positive: a deleted record, negative: one of the test set."""
    deleted = sum(number * step.request.now.numpy() for number, step in enumerate(steps, 1))
    rows = np.flatnonzero(deleted)
    said = [load_outputs(made.folder) for made in versions]
    logits = [np.concatenate([np.asarray(each["train"])[rows], np.asarray(each["test"])]) for each in said]
    ground = shop.ground
    labels = np.concatenate([ground.train.labels.cpu().numpy()[rows], ground.test.labels.cpu().numpy()])
    taken = np.concatenate([deleted[rows], np.zeros(len(ground.test), np.int64)])
    found = composition(logits, labels, taken, RESAMPLES)
    margins = [logit_confidence(each, labels) for each in logits]
    told = [
        {**asdict(auc), "advantage": advantage((before - after)[taken == number], (before - after)[taken == 0])}
        for number, (auc, before, after) in enumerate(zip(found.steps, margins, margins[1:], strict=False), 1)
    ]
    return {"steps": told, "together": asdict(found.together), "placed": found.placed}


def advantage(deleted: np.ndarray, never: np.ndarray) -> float:
    """The most by which the true-positive rate exceeds the false-positive rate at any threshold, percent points."""
    cuts = np.unique(np.concatenate([deleted, never]))
    hit = 1 - np.searchsorted(np.sort(deleted), cuts) / len(deleted)
    wrong = 1 - np.searchsorted(np.sort(never), cuts) / len(never)
    return float(100 * (hit - wrong).max())


def page(found: dict[str, Any]) -> str:
    """The results as Markdown."""
    people, whole, count = found["people"], found["whole"], len(found["people"])
    header = ["deletion", "records", "AUC", "advantage", "AUC, golds", "advantage, golds", "verdict"]
    lines = [
        [
            str(each["deletion"]),
            str(each["records"]),
            *(part for name in (METHOD, GOLDS) for part in (_value(each[name]), f"{each[name]['advantage']:.0f}")),
            each["outcome"],
        ]
        for each in people
    ]
    mean = [f"{np.mean([each[name]['value'] for each in people]):.1f}" for name in (METHOD, GOLDS)]
    excess = [f"{np.mean([each[name]['advantage'] for each in people]):.0f}" for name in (METHOD, GOLDS)]
    total = str(sum(each["records"] for each in people))
    lines.append(["mean", total, mean[0], excess[0], mean[1], excess[1], ""])
    together = [[name, _value(each["together"]), f"{100 * each['placed']:.0f}"] for name, each in whole.items()]
    said = ", ".join(f"{number} {name}" for name, number in found["verdicts"].items())
    text = [
        "# difference: measured results",
        "",
        f"Made by `{found['command']}`; do not edit. {count} people of the embedded digits are deleted one after the",
        f"other by `{METHOD}`. The attack compares the versions before and after each deletion. Positive: the person's",
        f"records; negative: {found['never_learned']} records that no version learned. AUC in percent with 95 %",
        "intervals, 50 is a guess; advantage in percent points. Golds: retrained without the same people, from one",
        "seed. A person has few records: read the means and the table below, not single rows.",
        "",
        *grid(header, lines),
        "",
        f"Verdicts of the audits without golds: {said}.",
        "",
        "Whoever has every version, on all deleted records. Placed: percent of them whose largest drop is at their own",
        f"deletion; {100 / count:.0f} is a guess.",
        "",
        *grid(["versions", "AUC", "placed"], together),
        "",
        f"Seed {found['seed']}. Commit {found['commit'][:12]}. Measured on: {found['hardware']}; {found['at'][:10]}.",
    ]
    return "\n".join(text) + "\n"


def _value(value: dict[str, float]) -> str:
    known = Value(value["value"], value["low"], value["high"])
    return f"{known.value:.1f} [{known.low:.1f}, {known.high:.1f}]"


if __name__ == "__main__":
    typer.run(main)
