"""What is found after a deletion, looked up anew in every store: ledger, data, MLflow, Prefect, workspace."""

import json
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.chaos.prefect_side import AT_WORK, Prefect
from tmu.certificate.keyring import Keyring
from tmu.data.keys import to_hex
from tmu.data.records import SPLITS
from tmu.data.store import RecordStore
from tmu.deletion.journal import Journal
from tmu.errors import DataError
from tmu.evidence.sums import SUMS, check_sums
from tmu.ledger import proof, serving, views
from tmu.ledger.errors import ChainError
from tmu.ledger.place import opened
from tmu.ledger.schema import audit_log, executions
from tmu.ledger.store import Ledger
from tmu.steps.ledger.batch import dataset_of
from tmu.steps.loading import data_ref
from tmu.steps.stored_certificate import folder_of, has_certificate, stored
from tmu.workspace import Workspace

_BUILDING = re.compile(r"\..+\.building-\d+-\w+")


@dataclass(frozen=True)
class Before:
    """What held before the request. people: number of records by subject key; champion: None before the first."""

    revision: str
    people: dict[str, int]
    champion: int | None
    versions: set[int]


@dataclass(frozen=True)
class Model:
    """A registered version."""

    version: int
    role: str
    weights: str
    revision: str
    blocked: bool


@dataclass(frozen=True)
class Facts:
    """Everything that `checks.py` judges. running: what still says that it runs, one line each.

    certificate, bundle: what is wrong with the request's certificate and its bundle of evidence; None: nothing.
    """

    person: str
    before: Before
    state: str
    events: list[str]
    attempts: list[str | None]
    chain: str | None
    evidence: list[str]
    revision: str
    pointer: str
    people: dict[str, int]
    models: list[Model]
    champion: int | None
    serves: dict[str, Any] | None
    cut_overs: int
    running: list[str]
    journal: str | None
    unfinished: int
    leftovers: list[str] = field(default_factory=list)
    certificate: str | None = None
    bundle: str | None = None


def before(workspace: Workspace) -> Before:
    """The facts before a request."""
    champion = workspace.registry.get_alias(dataset_of(workspace), "champion")
    known = {version.version for version in workspace.registry.versions(dataset_of(workspace))}
    return Before(data_ref(workspace).digest, people(workspace), champion and champion.version, known)


def people(workspace: Workspace) -> dict[str, int]:
    """Records of each person in the live data, read from the shards alone."""
    return dict(Counter(to_hex(RecordStore.open(workspace.data).index().subject_keys)))


def candidates(workspace: Workspace) -> list[str]:
    """People (subject keys) of whom the model learned at least two records, in the order of their keys."""
    index = RecordStore.open(workspace.data).index()
    learned = Counter(to_hex(index.subject_keys[index.splits == SPLITS.index("train")]))
    return sorted(key for key, count in learned.items() if count >= 2)


def gather(workspace: Workspace, prefect: Prefect, request: str, person: str, known: Before) -> Facts:
    """All facts after a request of one person (subject key)."""
    with opened(workspace) as ledger:
        shown = views.show(ledger, request)
        chain = broken_chain(ledger)
        with ledger.read() as connection:
            serves = serving.serving(connection, dataset_of(workspace))
            wanted = sa.select(executions.c.outcome).where(executions.c.batch_id == shown["batch"])
            attempts = list(connection.scalars(wanted.order_by(executions.c.token)))
            bodies = connection.scalars(sa.select(audit_log.c.body).where(audit_log.c.event == serving.CUT_OVER))
            cut_overs = sum(json.loads(body)["facts"].get("batch") == shown["batch"] for body in bodies)
    champion = workspace.registry.get_alias(dataset_of(workspace), "champion")
    journal = Journal(workspace).all()
    return Facts(
        person=person,
        before=known,
        state=shown["state"],
        events=[json.loads(body)["event"] for body in shown["log"]],
        attempts=attempts,
        chain=chain,
        evidence=[row["uri"] for row in shown["evidence"] if row["kind"] == "data_revision"],
        revision=data_ref(workspace).digest,
        pointer=workspace.versions.revision(workspace.data),
        people=people(workspace),
        models=models(workspace),
        champion=champion and champion.version,
        serves=serves,
        cut_overs=cut_overs,
        running=running(workspace, prefect),
        journal=next((each.stage for each in journal if each.asked.batch == shown["batch"]), None),
        unfinished=sum(each.open for each in journal),
        leftovers=leftovers(workspace.root),
        certificate=unverified(workspace, request),
        bundle=unsealed(workspace, request),
    )


def broken_chain(ledger: Ledger) -> str | None:
    """What is wrong with the ledger's log; None where it is whole."""
    try:
        proof.verify(ledger)
    except ChainError as error:
        return error.what
    return None


def unverified(workspace: Workspace, request: str) -> str | None:
    """Why the request's certificate does not verify, also where there is none; None where it does."""
    from tmu_verify.faults import Refused
    from tmu_verify.verify import Against, verify

    if not has_certificate(workspace, request):
        return "there is no certificate"
    try:
        verify(stored(workspace, request), Against(keys=Keyring(workspace).path, request=request))
    except Refused as refusal:
        return f"the certificate is refused: {refusal.fault}"
    return None


def unsealed(workspace: Workspace, request: str) -> str | None:
    """What is wrong with the request's bundle of evidence; None where it is sealed and its sums hold."""
    folder = folder_of(workspace, request)
    if not (folder / SUMS).exists():
        return "the evidence is not sealed"
    try:
        check_sums(folder)
    except DataError as error:
        return error.what
    return None


def models(workspace: Workspace) -> list[Model]:
    """All registered versions of the dataset."""
    return [
        Model(
            each.version,
            each.role,
            each.weights_sha256,
            each.tags["data_revision"],
            each.tags.get("serving") is not None,
        )
        for each in workspace.registry.versions(dataset_of(workspace))
    ]


def running(workspace: Workspace, prefect: Prefect) -> list[str]:
    """Runs of Prefect (flows and tasks) and of MLflow that still count as at work."""
    from mlflow import MlflowClient

    found = [f"flow run {run['name']}: {run['state_type']}" for run in prefect.runs(*AT_WORK)]
    found += [f"task run {run['name']}: {run['state_type']}" for run in prefect.tasks(*AT_WORK)]
    client = MlflowClient(workspace.registry.uri)
    ids = [each.experiment_id for each in client.search_experiments()]
    runs = client.search_runs(ids, "attributes.status = 'RUNNING'")
    return found + [f"MLflow run {run.info.run_name}: RUNNING" for run in runs]


def leftovers(home: Path) -> list[str]:
    """What may hold a person's records and should be gone: half-built folders, unpacked old revisions."""
    found = [str(path.relative_to(home)) for path in home.joinpath(".tmu", "revisions").glob("*")]
    for folder, folders, files in os.walk(home):
        if folder == str(home / ".tmu"):
            folders[:] = [name for name in folders if name != "stack"]
        names = [name for name in (*folders, *files) if _BUILDING.fullmatch(name)]
        found += [str(Path(folder, name).relative_to(home)) for name in names]
    return found
