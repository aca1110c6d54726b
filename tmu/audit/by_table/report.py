"""Writes an audit without golds: `audit.json`, the figures, and `report.html` with both in one."""

from pathlib import Path
from typing import Any

from markupsafe import Markup

from tmu.audit.by_table.audit import TableAudit
from tmu.audit.by_table.case import TableCase
from tmu.audit.by_table.figures import CAPTIONS, draw
from tmu.audit.people_page import SHOWN, p_text
from tmu.audit.report import Words, filled
from tmu.files import write_atomic, write_json

_TABLE = Markup(
    "Small: 95 % interval over records, of evidence ± 1.96 standard deviations. ↓ lower is better, ↑ higher is better. "
    "<b>original</b> is what doing nothing scores; the <b>noise floor</b> is what references that never saw the "
    "records show among themselves. No gold was trained."
)
LIMITS = (
    "Shown: whether the answers on these records differ from those of models that never saw such people, and how small "
    "a difference would have been seen.",
    "Not shown: that no trace is left in the weights. Unlearning is approximate; only a retrain excludes the records "
    "by construction.",
    "References learned from half of the people. What that changes is taken off by never-seen records, as far as their "
    "ease and class tell; a forget set unlike all of them may be judged wrongly by a little.",
    "Networks that learned from half of the people differ more among themselves than retrained models do: the floor of "
    "the distance is wide.",
    "The evidence is of membership: that the records are known. Another attack may see what this one does not.",
    "Inner layers are tested with a fresh last layer on the model's body. A trace that is not linear in the last "
    "features, or lies in earlier layers alone, escapes it.",
    "The weekly sample that is retrained (`retrain-gold`) checks these verdicts against golds.",
)
_ALIKE = (
    "No staying person of the sample has several records: how alike a person's records are is not known here, and "
    "they were taken as independent."
)


def write_table_audit(folder: Path, case: TableCase, audit: TableAudit, provenance: dict[str, Any]) -> list[Path]:
    """Write audit.json, report.html and the figures (PNG and SVG) into `folder`; returns the files written.

    `provenance` is shown as given: JSON-ready, free of personal data.
    """
    figures = draw(folder, case, audit)
    write_json(folder / "audit.json", {**audit.data, "predictor": None, "provenance": provenance})
    svgs = {file.stem: file.read_bytes() for file in figures if file.suffix == ".svg"}
    limits = LIMITS if audit.outer.null.alike_known else (*LIMITS, _ALIKE)
    page = filled(
        audit.data["result"],
        audit.verdict,
        provenance,
        svgs,
        Words(_TABLE, limits, CAPTIONS),
        row=case.method,
        people=_people(audit.data["people"]),
        sentence=audit.sentence,
        old_versions=audit.data["old_versions"],
    )
    write_atomic(folder / "report.html", page.encode())
    return [folder / "audit.json", folder / "report.html", *figures]


def _people(people: dict[str, Any]) -> dict[str, Any]:
    """Texts for the page: at most `SHOWN` persons, the most detectable first."""
    rows = [
        {
            "person": each["person"],
            "records": f"{each['records']:,}",
            "cells": [
                f"{each['evidence']:+.1f}",
                p_text(each["p_member"]),
                p_text(each["p_low"]),
                f"{each['original']:+.1f}",
                p_text(each["p_original"]),
            ],
        }
        for each in people["people"][:SHOWN]
    ]
    head = [
        "evidence (s.d.) → 0",
        "p, recognised (0..1), ↑ less found",
        "p, low confidence (0..1), ↑ less found",
        "original's evidence (s.d.)",
        "original's p (0..1)",
    ]
    listed = f"The {len(rows)} most detectable of {people['persons']:,} persons."
    return {
        "passed": people["passed"],
        "reason": people["reason"],
        "caption": f"{listed} Evidence: in standard deviations of "
        "what a model shows that never saw a person of so many records.",
        "head": head,
        "rows": rows,
    }
