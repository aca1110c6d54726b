"""The automation that marks a flow run as crashed when its heartbeats stop.

After a heartbeat the server waits three intervals for the next one or for an end. What stands only in `expect` stops
the watch, so every state in which a run sends nothing and yet is well must be named: `Suspended` above all, or a run
that waits for an approval would be marked as crashed (Prefect's own example leaves it out).

A heartbeat that arrives after the state that stops the watch starts it again (Prefect issue 21932). The server refuses
to crash what has ended; at a suspension, `flows.runs.suspending` lets the heartbeats arrive first and stops them.
"""

from collections.abc import Iterator
from datetime import timedelta

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification

from infra.bootstrapping.plan import HEARTBEAT, Change, Plan

NAME = "tmu-zombies"
_ENDS = ("Completed", "Failed", "TimedOut", "Crashed", "Cancelled")
_SILENT = ("Suspended", "Paused", "AwaitingRetry")
_COMPARED = ("description", "trigger", "actions")


def wanted() -> AutomationCore:
    """The automation: heartbeat lost for 90 s, then `Crashed`."""
    events = {f"prefect.flow-run.{name}" for name in ("heartbeat", *_ENDS, *_SILENT)}
    trigger = EventTrigger(
        match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
        for_each={"prefect.resource.id"},
        after={"prefect.flow-run.heartbeat"},
        expect=events,
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=3 * HEARTBEAT),
    )
    action = ChangeFlowRunState(
        state=StateType.CRASHED, message=f"No heartbeat for {3 * HEARTBEAT} s: its process or its machine is gone."
    )
    return AutomationCore(
        name=NAME,
        description="A flow run whose heartbeats stop is marked as crashed, so that it can be resumed.",
        trigger=trigger,
        actions=[action],
    )


def zombies(client: SyncPrefectClient, plan: Plan, *, apply: bool) -> Iterator[Change]:
    """The automation, switched on."""
    found = client.read_automations_by_name(NAME)
    if not found:
        if apply:
            client.create_automation(wanted())
        yield Change("automation", NAME, "made")
        return
    differs = [key for key in _COMPARED if _comparable(found[0])[key] != _comparable(wanted())[key]]
    if differs and apply:
        client.update_automation(found[0].id, wanted())
    if not found[0].enabled:
        differs.append("enabled")
        if apply:
            client.resume_automation(found[0].id)
    yield Change("automation", NAME, "changed" if differs else "kept", ", ".join(differs))


def _comparable(automation: AutomationCore) -> dict[str, object]:
    """As JSON, sets in order and without the ids that the server gives."""
    value = automation.model_dump(mode="json", include=set(_COMPARED))
    trigger = {key: sorted(part) if isinstance(part, list) else part for key, part in value["trigger"].items()}
    return {**value, "trigger": {key: part for key, part in trigger.items() if key != "id"}}
