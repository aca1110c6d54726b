"""Writes an audit: `audit.json` (numbers, verdict, provenance), the figures, and `report.html` with both in one."""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tmu.audit import render
from tmu.audit.bootstrap import Value
from tmu.audit.difference import sentence as rule_of_old_versions
from tmu.audit.figures import Predictor, draw_figures
from tmu.audit.gate import Verdict
from tmu.audit.outputs import Outputs, Sets
from tmu.audit.page import LIMITS, TABLE_CAPTION, TEMPLATE
from tmu.audit.people_page import people_page
from tmu.audit.table import AuditResult
from tmu.files import write_atomic, write_json

_CAPTIONS = {
    "accuracy_bars": "Accuracy on the forget, retain and test set, as distance from the gold.",
    "forget_confidence": "How sure each model is of the true class of the forgotten records.",
    "alignment": "Activation distance and average gap to the gold; the band is the noise floor.",
    "reliability": "Predicted and observed share of records that a retrained model gets wrong.",
}


def write_audit(
    folder: Path,
    result: AuditResult,
    verdict: Verdict,
    provenance: dict[str, Any],
    sets: Sets,
    models: dict[str, Outputs],
    *,
    method_row: str,
    predictor: Predictor | None = None,
    ceiling: dict[str, Any] | None = None,
    people: dict[str, Any] | None = None,
    changed: dict[str, Any] | None = None,
) -> list[Path]:
    """Write audit.json, report.html and the figures (PNG and SVG) into `folder`; returns the files written.

    `method_row`: the row that `verdict` judges. `predictor`, `ceiling` (`predictor_ceiling`): left out where the
    method has no easy / hard predictor. `people` (`people_report`): left out where nothing can be said of persons.
    `changed`: what `judge` was told of the weights, so that the verdict can be given again from the file alone.
    `provenance` is shown as given: JSON-ready, free of personal data.
    """
    figures = draw_figures(folder, result, sets, models, method_row, predictor)
    numbers = {
        "result": result.data,
        "verdict": {"row": method_row, **verdict.as_json()},
        "predictor": ceiling,
        "people": people,
        "old_versions": old_versions(result.data, method_row),
        "changed": changed,
        "provenance": provenance,
    }
    write_json(folder / "audit.json", numbers)
    svgs = {file.stem: file.read_bytes() for file in figures if file.suffix == ".svg"}
    page = report_page(result, verdict, provenance, svgs, method_row=method_row, ceiling=ceiling, people=people)
    write_atomic(folder / "report.html", page.encode())
    return [folder / "audit.json", folder / "report.html", *figures]


def report_page(
    result: AuditResult,
    verdict: Verdict,
    provenance: dict[str, Any],
    figures: dict[str, bytes],
    *,
    method_row: str,
    ceiling: dict[str, Any] | None = None,
    people: dict[str, Any] | None = None,
) -> str:
    """The page as HTML, everything escaped and embedded; `figures` are SVG bytes by name. No request leaves it."""
    words = Words(TABLE_CAPTION, LIMITS, _CAPTIONS)
    persons = people_page(people) if people else None
    rule = old_versions(result.data, method_row)
    return filled(
        result.data, verdict, provenance, figures, words, row=method_row, people=persons, ceiling=ceiling,
        old_versions=rule,
    )  # fmt: skip


def old_versions(data: dict[str, Any], row: str) -> str | None:
    """The rule of the difference attack with the number of a row, and the golds' beside it; None without an original.

    data: `result` of audit.json.
    """
    cells = {each["name"]: each["metrics"].get("difference_auc") for each in data["rows"]}
    floor = data.get("floor", {}).get("difference_auc")
    found = cells.get(row)
    return rule_of_old_versions(Value(**found), Value(**floor) if floor else None) if found else None


@dataclass(frozen=True)
class Words:
    """What differs between the pages of an audit with golds and of one without: the side-by-side table's caption
    (Markup), what the audit does not show, the captions of the figures by name.
    """

    table_caption: str
    limits: tuple[str, ...]
    captions: dict[str, str]


def filled(
    data: dict[str, Any],
    verdict: Verdict,
    provenance: dict[str, Any],
    figures: dict[str, bytes],
    words: Words,
    *,
    row: str,
    people: dict[str, Any] | None = None,
    ceiling: dict[str, Any] | None = None,
    sentence: str | None = None,
    old_versions: str | None = None,
) -> str:
    """The template with an audit's numbers (`result` of audit.json). people: texts, see `people_page.py`.

    old_versions: the rule of the difference attack, with its number.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.globals["cell"] = _cell
    metrics = [{**metric, "header": render.header(metric)} for metric in data["metrics"]]
    return environment.from_string(TEMPLATE).render(
        title=f"Unlearning audit: {row}",
        caption=render.caption(data),
        verdict=verdict,
        sentence=sentence,
        old_versions=old_versions,
        row=row,
        rows=[_row(each, data["metrics"]) for each in data["rows"]],
        has_floor="floor" in data,
        floor=_cells(data.get("floor", {}), data["metrics"]),
        people=people,
        metrics=metrics,
        headline=[metric for metric in metrics if metric["headline"]],
        seconds_header=render.SECONDS_HEADER,
        figures=[_figure(words.captions[name], content) for name, content in figures.items()],
        predictor=_flat(ceiling or {}),
        table_caption=words.table_caption,
        limits=words.limits,
        provenance=_flat(provenance),
    )


def _cell(texts: tuple[str, str] | str | None) -> Any:
    """A number with its interval below, or a text alone."""
    from markupsafe import Markup

    if texts is None or isinstance(texts, str):
        return Markup("<td>{}</td>").format(texts or render.NONE)
    return Markup("<td>{}<span>{}</span></td>").format(*texts)


def _row(row: dict[str, Any], metrics: list[dict[str, Any]]) -> dict[str, Any]:
    cells = _cells(row["metrics"], metrics)
    return {"name": row["name"], "seconds": render.seconds(row["seconds"]), "cells": cells}


def _cells(given: dict[str, Any], metrics: list[dict[str, Any]]) -> dict[str, tuple[str, str] | None]:
    """Number and interval of every metric as text."""
    cells = {}
    for metric in metrics:
        cell, unit = given.get(metric["name"]), metric["unit"]
        cells[metric["name"]] = cell and (render.number(cell["value"], unit), render.span(cell, unit))
    return cells


def _figure(caption: str, svg: bytes) -> dict[str, str]:
    return {"alt": caption, "source": f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"}


def _flat(value: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested names joined by dots with their values as text, in the order given."""
    lines: list[tuple[str, str]] = []
    for name, inner in value.items():
        if isinstance(inner, dict):
            lines += _flat(inner, f"{prefix}{name}.")
        else:
            lines.append((prefix + name, _text(inner)))
    return lines


def _text(value: Any) -> str:
    if value is None:
        return render.NONE
    return f"{value:.4g}" if isinstance(value, float) else str(value)
