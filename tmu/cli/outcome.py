"""How a deletion's summary is completed with its audit and shown."""

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from tmu.errors import StorageError

if TYPE_CHECKING:
    from tmu.workspace import Workspace


def completed(workspace: "Workspace", summary: dict[str, Any]) -> dict[str, Any]:
    """The flow's summary with `table` (the audit's numbers) and `report` (path), where there was an audit."""
    if "table" in summary or not summary.get("audit"):
        return summary
    with suppress(StorageError):  # the purge may have taken it
        return summary | read_audit(workspace.artifacts.fetch(summary["audit"]["uri"], summary["audit"]["digest"]))
    return summary


_STYLES = {"passed": "bold green", "failed": "bold red", "inconclusive": "yellow"}


def read_audit(folder: Path) -> dict[str, Any]:
    """`table`, `verdict`, `sentence` (of the people, where there is one) and `report` of an audit's folder."""
    from tmu.deletion.deletion import AuditVerdict

    raw = json.loads((folder / "audit.json").read_text())
    verdict = AuditVerdict.of(raw["verdict"]).public()
    said = {"sentence": raw["sentence"]} if "sentence" in raw else {}
    return {"table": raw["result"], "verdict": verdict, "report": str(folder / "report.html")} | said


def shown_outcome(summary: dict[str, Any], home: Path = Path()) -> list[Any]:
    """Table, verdict with its reasons, versions, and where to look next. home: the workspace, for paths."""
    parts: list[Any] = []
    if "request" in summary:
        parts.append(f"Request {summary['request']} is completed.")
    if summary.get("table"):
        from tmu.audit.render import rich_table

        parts += ["", rich_table(summary["table"])]
    parts += _verdict(summary.get("verdict"))
    why, sentence = summary.get("why", []), summary.get("sentence", "")
    if sentence and not any(sentence in each for each in why):
        parts.append(Text(sentence))
    parts += [Text(each) for each in why]
    names = {
        "Versions": _versions(summary),
        "Certificate": ", ".join(
            str(home / each["path"]) if each.get("path") else f"none: {each['why']}"
            for each in summary.get("certificates", [])
        ),
        "Report": summary.get("report"),
        "MLflow": summary.get("ui"),
        "How close the versions are to the gold, in MLflow": summary.get("alignment"),
    }
    parts += [f"{name}: {value}" for name, value in names.items() if value]
    return parts


def _verdict(verdict: dict[str, Any] | None) -> list[Any]:
    if not verdict:
        return ["There was no audit: nothing was measured of how well the model forgot."]
    outcome = verdict["outcome"]
    line = Text(f"Audit of the model `{verdict['row']}`: {outcome}.", _STYLES[outcome])
    return [line, *(f"  {reason}" for reason in verdict["reasons"])]


def _versions(summary: dict[str, Any]) -> str:
    lines = [f"{row}: {version}" for row, version in summary.get("versions", {}).items()]
    if "champion" in summary:
        row = next((row for row, version in summary["versions"].items() if version == summary["champion"]), "")
        why = " because the unlearned model did not pass its audit" if row == "gold" else ""
        waits = "waits for the next request, until then the model before it is in service"
        lines.append(f"{waits if summary.get('waits') else 'in service'}: {summary['champion']} ({row}{why})")
    return ", ".join(lines)
