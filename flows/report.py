"""What a run shows on Prefect's page: tables and sentences, the most important first; and says in its log.

Outside of a run there is no page, and the sentences alone are said.
"""

from collections.abc import Sequence
from typing import Any

from prefect.artifacts import create_markdown_artifact

from flows.tell import tell
from tasks.say import inside_run
from tmu.audit import render
from tmu.deletion.deletion import AuditVerdict, Deletion, Stage
from tmu.deletion.plan import Plan
from tmu.steps.issue_certificate import Issued, NotIssued
from tmu.steps.plan_facts import PlanFacts, facts_of, share_of_retraining, worded_cost
from tmu.words import counted


def show_plan_of_request(request: str, facts: PlanFacts) -> None:
    """What waits for an approval."""
    _tell_of(f"Request {request}", facts)
    _markdown("request", f"### Request `{request}`\n\n{facts_markdown(facts)}", facts.headline)


def show_plan(plan: Plan) -> None:
    """What a request of the command line touches and how it is answered; forecast before any work."""
    facts = facts_of(plan.body)
    _tell_of(f"Request {plan.id}", facts)
    _markdown("plan", facts_markdown(facts) + _forecast(plan.body["choice"]), facts.headline)


def show_batch_plan(batch: str, requests: int, deletion: Deletion) -> None:
    """What a batch is about to erase, and how: counts only."""
    body = deletion.plan.body
    facts = facts_of(body)
    if deletion.stage is not Stage.ACKNOWLEDGED:
        tell(f"Batch {batch} is resumed after stage `{deletion.stage}`.")
    _tell_of(f"Batch {batch} ({counted(requests, 'request')})", facts)
    text = f"**Batch `{batch}`, {counted(requests, 'request')}**\n\n{facts_markdown(facts)}{_forecast(body['choice'])}"
    _markdown("plan", text, facts.headline)


def show_batch(outcome: dict[str, Any], store: str) -> None:
    """How a batch ended, as markdown: what serves now, what was verified, and where to look further.

    store: address of the artifacts, to which the evidence's are relative.
    """
    sentences = [*outcome.get("why", [outcome["service"]]), *outcome["checked"]]
    parts = [f"**Batch `{outcome['batch']}`, {counted(outcome['requests'], 'request')}: done.**"]
    parts.append("\n".join(f"- {sentence}" for sentence in sentences))
    if "compare" in outcome:
        rows = [(name, f"version {version}") for name, version in outcome["versions"].items()]
        parts += [table(rows, ("model", "in MLflow")), _links(outcome)]
        proof = outcome["audit"]
        parts.append(f"Evidence: `{store.rstrip('/')}/{proof['uri']}/manifest.json`, SHA-256 `{proof['digest']}`")
    for sentence in sentences:
        tell(sentence)
    _markdown("batch", "\n\n".join(parts), "How the batch ended")


def _links(outcome: dict[str, Any]) -> str:
    """To MLflow's comparisons, where all that they compare is there."""
    gone = "Those that learned the records are purged from MLflow. The table of the audit holds the numbers of all."
    purged = f"{gone} " * outcome.get("purged_versions", False)
    beside = f"[How close they are to the gold]({outcome['alignment']}), in MLflow, and " * bool(outcome["alignment"])
    compare = f"[Compare these versions in MLflow]({outcome['compare']}): all metrics" * bool(outcome["compare"])
    return f"{purged}{beside}{compare}".strip()


def show_certificates(issued: Sequence[Issued | NotIssued], files: dict[str, str], service: str | None) -> None:
    """The certificates on the run's page, each to be copied or fetched; or why there is none.

    files: their text by request. service: address of the HTTP API, which gives the same files.
    """
    parts, described = [], "Why there is no certificate"
    for each in issued:
        if isinstance(each, NotIssued):
            parts.append(f"**No certificate of request `{each.request}`.** {each.why} {each.hint}")
            tell(f"No certificate: {each.why} {each.hint}")
            continue
        described = "Certificates: verify them with tmu-verify"
        link = f"[Fetch it]({service}/requests/{each.request}/certificate). " if service else ""
        parts.append(f"**Certificate of request `{each.request}`.** {link}`{each.path}`, SHA-256 `{each.sha256}`")
        if each.request in files:
            parts.append(f"```json\n{files[each.request]}\n```")
        tell(f"The certificate of request {each.request}: {each.path}")
    _markdown("certificate", "\n\n".join(parts), described)


def show_audit(numbers: dict[str, Any]) -> None:
    """The audit's headline numbers as an artifact: a column a model, a row a metric with its unit and direction.

    What follows from the verdict is told where it happens.
    """
    verdict = AuditVerdict.of(numbers["verdict"])
    described = f"{verdict.row}: {verdict.outcome}"
    tell(f"Audit: {described}")
    sentence = numbers.get("sentence", "")
    if sentence:
        tell(sentence)
    _markdown("audit", f"{sentence}\n\n{_turned(render.markdown(numbers['result']))}".lstrip(), described)


def facts_markdown(facts: PlanFacts) -> str:
    """Warnings, likely method, price and what stays, in lines that the narrow form wraps: no table, no long word."""
    lines = [f"> ⚠️ **{text}**\n" for text in facts.warnings]
    lines.append(f"**Likely method:** {facts.method}\n")
    lines.append(f"**Risk:** {facts.risk}. **Price:** {facts.price}.\n")
    erased = f"{counted(facts.n_records, 'record')} in {counted(facts.n_shards, 'shard')}"
    lines.append(f"**Erased:** {erased}: {facts.counts}\n")
    lines.append(f"**Purge:** {facts.purge}\n")
    lines.append("**Stays:**\n" if facts.stays else "**Stays:** nothing that tmu knows of.\n")
    lines += [f"- {text}" for text in facts.stays]
    return "\n".join(lines) + "\n"


def table(rows: Sequence[tuple[str, ...]], head: tuple[str, ...] = ("what", "")) -> str:
    """A table in markdown, under the headings given."""
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])


def _tell_of(what: str, facts: PlanFacts) -> None:
    for text in facts.warnings:
        tell(f"Warning: {text}")
    tell(f"{what}: {counted(facts.n_records, 'record')} to erase: {facts.counts}")
    tell(f"Likely method: {facts.method}")
    tell(f"Forecast: {facts.price}")
    tell(facts.purge)


def _forecast(choice: dict[str, Any]) -> str:
    """The ways and what they cost, as a table below; empty where nothing is to be unlearned."""
    rows = [
        (f"`{way}`", worded_cost(cost), share_of_retraining(choice["forecast"], way))
        for way, cost in choice["forecast"].items()
    ]
    return f"\n{table(rows, ('way', 'forecast', 'of a retraining'))}\n" if rows else ""


def _markdown(key: str, markdown: str, description: str) -> None:
    if inside_run():
        create_markdown_artifact(markdown=markdown, key=key, description=description)


def _turned(text: str) -> str:
    """A markdown table, and what follows it, with rows and columns exchanged: five models fit across a page."""
    lines = text.splitlines()
    height = lines.index("")
    cells = [line.strip("| ").split(" | ") for line in lines[:height] if not line.startswith("| ---")]
    rows = ["| " + " | ".join(row) + " |" for row in zip(*cells, strict=True)]
    rule = "| --- " + "| ---: " * (len(cells) - 1) + "|"
    return "\n".join([rows[0], rule, *rows[1:], *lines[height:]])
