"""What a run shows on Prefect's page: tables."""

from collections.abc import Sequence
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from tmu.audit import render
from tmu.deletion.plan import Choice, Plan


def show_plan(plan: Plan) -> None:
    """The plan as a table artifact: counts only."""
    rows = [{"what": "request", "number": plan.id}, {"what": "records", "number": plan.n_records}]
    rows += [{"what": f"{split} records", "number": count} for split, count in plan.by_split.items()]
    rows += [{"what": f"training records of class {name}", "number": count} for name, count in plan.by_class.items()]
    rows.append({"what": "shards touched", "number": len(plan.shards)})
    create_table_artifact(table=rows, key="deletion-plan", description=f"What request {plan.id} touches")


def show_choice(choice: Choice) -> None:
    """The method and what it rests on as a table artifact: one row a way, forecast before any work."""
    rows = [
        {"way": way, "seconds": cost.seconds, "record visits": cost.visits, "measured": cost.measured}
        for way, cost in choice.forecast.items()
    ]
    if rows:
        create_table_artifact(table=rows, key="method", description=f"{choice.method}: {choice.reason}")


def show_batch_plan(batch: str, requests: int, body: dict[str, Any]) -> None:
    """What a batch is about to erase, and how, as a table: counts only. body: of its plan."""
    text = table(plan_rows(body, body["choice"]))
    described = f"What batch {batch} erases, for {_counted(requests, 'request')}"
    parts = [text, plan_counts(body), body["choice"]["reason"]]
    create_markdown_artifact(markdown="\n\n".join(parts), key="plan", description=described)


def show_batch(outcome: dict[str, Any], store: str) -> None:
    """How a batch ended, as markdown: what serves now, what was looked at again, and where to look further.

    store: address of the artifacts, to which the evidence's are relative.
    """
    sentences = [*outcome.get("why", [outcome["service"]]), *outcome["checked"]]
    parts = [f"**Batch `{outcome['batch']}`, {_counted(outcome['requests'], 'request')}: done.**"]
    parts.append("\n".join(f"- {sentence}" for sentence in sentences))
    if "compare" in outcome:
        rows = [(name, f"version {version}") for name, version in outcome["versions"].items()]
        parts += [table(rows, ("model", "in MLflow")), f"[Compare these versions in MLflow]({outcome['compare']})"]
        proof = outcome["audit"]
        parts.append(f"Evidence: `{store.rstrip('/')}/{proof['uri']}/manifest.json`, SHA-256 `{proof['digest']}`")
    create_markdown_artifact(markdown="\n\n".join(parts), key="batch", description="How the batch ended")


def plan_rows(plan: dict[str, Any], choice: dict[str, Any]) -> list[tuple[str, str]]:
    """A plan in short lines, which the page does not wrap. plan, choice: as JSON (`Plan.body` and its choice)."""
    erased = f"{plan['n_records']:,} in {_counted(len(plan['shards']), 'shard')}"
    rows = [("records to erase", erased), ("method", f"`{choice['method']}`")]
    wholes = {way: cost for way, cost in choice["forecast"].items() if way != "twin" and not way.endswith(" alone")}
    return rows + [(f"forecast: {way}", _cost(cost)) for way, cost in wholes.items()]


def plan_counts(plan: dict[str, Any]) -> str:
    """The records of a plan by split, those of training by class, as a sentence."""
    classes = ", ".join(f"{count} of `{name}`" for name, count in plan["by_class"].items() if count)
    splits = {split: f"{count:,} {split}" for split, count in plan["by_split"].items() if count}
    if classes:
        splits["train"] += f" ({classes})"
    return f"Records: {', '.join(splits.values())}."


def table(rows: Sequence[tuple[str, str]], head: tuple[str, str] = ("what", "")) -> str:
    """A table of two columns in markdown, under the headings given."""
    return "\n".join([f"| {head[0]} | {head[1]} |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def _cost(cost: dict[str, Any]) -> str:
    if cost["seconds"] is None:
        return f"{cost['visits']:,} record visits"
    seconds = f"{cost['seconds']:.1f} s" if cost["seconds"] < 10 else f"{cost['seconds']:,.0f} s"
    return seconds + ("" if cost["measured"] else " (estimated)")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def show_audit(numbers: dict[str, Any]) -> None:
    """The audit's headline numbers as an artifact: a column a model, a row a metric with its unit and direction."""
    verdict = "passed" if numbers["verdict"]["passed"] else "did not pass: the gold takes over"
    if not numbers["verdict"]["conclusive"]:
        verdict += " (inconclusive: too few forgotten records to tell)"
    described = f"{numbers['verdict']['row']} {verdict}"
    text = _turned(render.markdown(numbers["result"]))
    create_markdown_artifact(markdown=text, key="audit", description=described)


def _turned(text: str) -> str:
    """A markdown table, and what follows it, with rows and columns exchanged: five models fit across a page."""
    lines = text.splitlines()
    height = lines.index("")
    cells = [line.strip("| ").split(" | ") for line in lines[:height] if not line.startswith("| ---")]
    rows = ["| " + " | ".join(row) + " |" for row in zip(*cells, strict=True)]
    rule = "| --- " + "| ---: " * (len(cells) - 1) + "|"
    return "\n".join([rows[0], rule, *rows[1:], *lines[height:]])
