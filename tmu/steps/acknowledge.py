"""From a confirmed plan to a deletion in the journal; from then on it survives kill -9 and takes effect once."""

import secrets
from pathlib import Path
from typing import Any

from tmu.config import Params
from tmu.deletion.deletion import Deletion
from tmu.deletion.journal import Journal
from tmu.deletion.plan import Asked, Plan, Resolved, rules_of
from tmu.errors import RequestError
from tmu.files import canonical_json, write_json
from tmu.ledger.place import has_ledger
from tmu.manifest import digest
from tmu.refs import ForgetRef
from tmu.steps.ledger.legal_hold import refuse_held
from tmu.steps.loading import data_ref, open_store
from tmu.steps.making import identity_of, make
from tmu.steps.preflight import check_stores
from tmu.steps.register_model import champion_of
from tmu.steps.starts import keep_start
from tmu.steps.store_keys import keys_of
from tmu.stores.lock import locked
from tmu.workspace import Workspace

_ID_BYTES = 8


def acknowledge(workspace: Workspace, plan: Plan, asked: Asked, *, audited: bool = True) -> Deletion:
    """Write down a plan that was confirmed: exactly that plan, with the parameters that it was made with.

    workspace: as opened when the plan was made. Raises RequestError where data or params.yaml are others by now, while
    another deletion is unfinished, and where the workspace has a ledger, which decides then; HeldError; whatever
    `preflight` finds. Nothing is written before all of that is checked.
    """
    with locked(workspace.state("request.lock")):  # two requests at once must not both be acknowledged
        Journal(workspace).refuse_a_second()
        _refuse_changed(workspace, plan)
        refuse_held(workspace, open_store(workspace, plan.data), plan.records)
        refuse_past_ledger(workspace)
        check_stores(workspace)
        champion_of(workspace, plan.data, params=workspace.params)
        return written_down(workspace, plan, asked, audited=audited)


def written_down(workspace: Workspace, plan: Plan, asked: Asked, **facts: Any) -> Deletion:
    """The new deletion of a plan, in the journal, under a random id.

    The plan's own id is a digest of keys: who has their secret could test a person against certificate and evidence.
    """
    keep_start(workspace, workspace.params)  # golds and references of later begin with it, too
    forget, plan = forget_set(workspace, plan), plan.model_copy(update={"id": secrets.token_hex(_ID_BYTES)})
    deletion = Deletion.acknowledged(plan, asked, workspace.params, forget)
    return Journal(workspace).add(deletion.model_copy(update=facts))


def forget_set(workspace: Workspace, resolved: Resolved, out: str | None = None) -> ForgetRef:
    """Store the record keys that a request touches, and the classes that go as a whole.

    Address and digest outlive the purge, in manifests, tags and the journal. So they follow from a MAC under the secret
    of the keys: with a list of keys alone nobody can test a guess against them. Raises ConfigError without the secret.
    """
    data, records = resolved.data.digest, list(resolved.records)
    retires = {"retires": list(resolved.retires)} if resolved.retires else {}
    mac = keys_of(workspace, open_store(workspace, resolved.data).info).forget_set(canonical_json([data, records]))
    identity = identity_of("forget", ("tmu.refs",), data=data, records=mac, **retires)

    def build(folder: Path, run: dict[str, Any]) -> None:
        write_json(folder / "forget.json", {"data": data, "records": records, "mac": mac} | retires)

    uri, folder = make(workspace, "forget", identity, build, out)
    return ForgetRef(uri=uri, digest=digest(folder), data_digest=data)


def _refuse_changed(workspace: Workspace, plan: Plan) -> None:
    """Raise RequestError where the confirmed plan is not the one that would be made now, naming what changed."""
    again = "Show the plan again, and confirm the new one."
    if data_ref(workspace).digest != plan.data.digest:
        raise RequestError("The data have changed since the plan was shown.", again)
    changed = _difference(workspace.params, workspace.reread().params)
    if changed:
        raise RequestError(f"`{changed}` in params.yaml has changed since the plan was shown.", again)
    if plan.rules != rules_of(workspace.params.with_method(plan.choice.method)):
        raise RequestError("The plan was made with other parameters than those of params.yaml.", again)


def _difference(before: Params, after: Params) -> str | None:
    """The first key, dotted, whose value is another one."""
    old, new = (_flat(params.model_dump(mode="json")) for params in (before, after))
    return next((name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)), None)


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found


def refuse_past_ledger(workspace: Workspace) -> None:
    """Raise RequestError where a ledger decides what is erased: approval by a second person, holds, batches."""
    if has_ledger(workspace):
        raise RequestError(
            "This workspace has a ledger: deletions follow its rules.",
            "`tmu delete` records the request there; once it is approved, the same command carries it out.",
        )
