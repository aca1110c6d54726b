"""The model card of an unlearned model, in the format of the Hugging Face hub: YAML front matter, then sections."""

from typing import Any

import yaml

from tmu.config import EXACT_HEAD
from tmu.deletion.plan import RETRAIN
from tmu.evidence.manifest import Manifest
from tmu.start_file import said_of_start

_STEM = "model_card"
NAME = f"{_STEM}.md"
_SHOWN = 12  # digits of a digest in the text; the manifest has them all
_PAGE = """\
---
{{ front }}---

# {{ title }}

{{ summary }}

## How it was made

| | |
| --- | --- |
| method | `{{ method }}`{{ options }} |
| architecture | `{{ arch }}` |
| seed | {{ case.params.seed }} |
{{ start }}| weights (SHA-256) | `{{ made.unlearned.weights }}` |
| manifest | `manifest.json`: inputs, code, packages and compute environment by digest |

## Intended use

The same as that of the model it was made from. It was made because records had to be erased from that model: use this
one in its place, and do not hand out the earlier one. Whoever has both may learn from the difference what was erased.

## Evaluation
{% if rows %}

| number | this model | the original | unit |
| --- | ---: | ---: | --- |
{% for row in rows -%}
| {{ row.title }} | {{ row.own }} | {{ row.original }} | {{ row.unit }} |
{% endfor %}
The audit's verdict: **{{ verdict }}**. The whole audit: `report.html`.
{% else %}

This model was not audited.
{% endif %}

## Training data

Revision `{{ case.data.digest[:12] }}` of the record store, without the erased records; what remains is revision
`{{ made.data.digest[:12] }}`. This card names no person and no record.

## Limits

{{ limits }}{{ not_reached }}

## Compute environment

{{ environment }}
"""
_RETRAINED = "The model was trained again without the erased records. It can hold nothing of them but what others tell."
_EXACT = (
    "The model is a frozen network with a head that was solved without the erased records: exact, what a retraining "
    "without them gives. Whatever the network itself had learned before it became the start is not reached. Its logits "
    "are least squares scores times a constant: its probabilities are not calibrated."
)
_APPROXIMATE = (
    "The model was not trained again: a method made it forget. That is approximate, and the audit says how well it can "
    "be told from a model that never saw the records. It does not show that no trace is left in the weights."
)


def model_card(manifest: Manifest, audit: dict[str, Any] | None) -> bytes:
    """audit: the content of audit.json; None where there was none."""
    from jinja2 import Environment, StrictUndefined

    method = manifest.case.params.unlearn.method
    retrained = method == RETRAIN
    said = _RETRAINED if retrained else _EXACT if method == EXACT_HEAD else _APPROXIMATE
    environment = Environment(  # Markdown, not HTML
        autoescape=False,  # noqa: S701
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    options, start = manifest.case.params.unlearn.options, said_of_start(manifest.case.params.model)
    lane = manifest.environment.model_dump()
    page = environment.from_string(_PAGE).render(
        front=yaml.safe_dump(_front(manifest, audit), sort_keys=True, allow_unicode=True),
        title=f"Image classifier, unlearned by {method}" if not retrained else "Image classifier, trained again",
        summary=said,
        method=method,
        options=f" with {', '.join(f'{key} = {value}' for key, value in options.items())}" if options else "",
        arch=manifest.case.params.model.name,
        start=f"| start | {start} |\n" if start else "",
        case=manifest.case,
        made=manifest.made,
        rows=_rows(audit, method) if audit else [],
        verdict=manifest.verdict,
        not_reached=f" {start}" if start else "",
        limits=said,
        environment=", ".join(f"{name} {value}" for name, value in lane.items() if value),
    )
    return page.encode()


def _front(manifest: Manifest, audit: dict[str, Any] | None) -> dict[str, Any]:
    front: dict[str, Any] = {
        "library_name": "pytorch",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "machine-unlearning", manifest.case.params.unlearn.method],
    }
    accuracy = _cell(audit, manifest.case.params.unlearn.method, "accuracy_test") if audit else None
    if accuracy is not None:
        result = {
            "task": {"type": "image-classification"},
            "dataset": {"name": "test set of the record store", "type": "private"},
            "metrics": [{"type": "accuracy", "value": round(accuracy["value"] / 100, 6), "name": "test accuracy"}],
        }
        front["model-index"] = [{"name": f"unlearned-{manifest.made.unlearned.weights[:_SHOWN]}", "results": [result]}]
    return front


def _rows(audit: dict[str, Any], method: str) -> list[dict[str, str]]:
    """The headline numbers of the judged model and of the original."""
    shown = []
    for metric in audit["result"]["metrics"]:
        own, original = (_cell(audit, row, metric["name"]) for row in (method, "original"))
        if metric["headline"] and own is not None:
            title = {"title": metric["title"], "unit": metric["unit"]}
            shown.append(title | {"own": _number(own), "original": _number(original)})
    return shown


def _cell(audit: dict[str, Any], row: str, metric: str) -> dict[str, float] | None:
    for each in audit["result"]["rows"]:
        if each["name"] == row:
            return each["metrics"].get(metric)
    return None


def _number(cell: dict[str, float] | None) -> str:
    return "–" if cell is None else f"{cell['value']:.3g} [{cell['low']:.3g}, {cell['high']:.3g}]"
