"""What a run shows on Prefect's page: tables."""

from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from tmu.audit import render
from tmu.steps.choose_method import Choice
from tmu.steps.plan_deletion import Plan


def show_plan(plan: Plan) -> None:
    """The plan as a table artifact: counts only."""
    rows = [{"what": "request", "number": plan.id}, {"what": "records", "number": len(plan.records)}]
    rows += [{"what": f"{split} records", "number": count} for split, count in plan.by_split.items()]
    rows += [{"what": f"training records of class {name}", "number": count} for name, count in plan.by_class.items()]
    rows.append({"what": "shards touched", "number": len(plan.shards)})
    create_table_artifact(table=rows, key="deletion-plan", description=f"What request {plan.id} touches")


def show_choice(choice: Choice) -> None:
    """The method and what it rests on as a table artifact: one row a way, forecast before any work."""
    rows = [
        {"way": way, "seconds": cost["seconds"], "record visits": cost["visits"], "measured": cost["measured"]}
        for way, cost in choice.forecast.items()
    ]
    if rows:
        create_table_artifact(table=rows, key="method", description=f"{choice.method}: {choice.reason}")


def show_audit(numbers: dict[str, Any]) -> None:
    """The audit's headline numbers as an artifact: one row a model, unit and direction in every header."""
    verdict = "passed" if numbers["verdict"]["passed"] else "did not pass: the gold takes over"
    if not numbers["verdict"]["conclusive"]:
        verdict += " (inconclusive: too few forgotten records to tell)"
    described = f"{numbers['verdict']['row']} {verdict}"
    create_markdown_artifact(markdown=render.markdown(numbers["result"]), key="audit", description=described)
