"""What a person does with a started service: fill in a form, approve, look at the outcome, pull the evidence.

The tests are one story and run in this order: each goes on where the one before it ended.
"""

import hashlib
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from tmu_verify.faults import Refused
from tmu_verify.verify import Against, verify

from tests.browser import pages
from tests.browser.bucket import client, folder
from tests.browser.started import Started
from tmu.search.declared import ALIKE, SUPPRESSION, TOMBSTONE
from tmu.steps.loading import data_ref, open_store
from tmu.steps.verify_deletion import content_digest
from tmu.unlearn import method_names
from tmu.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.slow, pytest.mark.browser]

REQUEST, METHOD = "case-2026-17", "tmu-soft"
TITLES = ["Request", "Requested by", "People", "Single records", "When", "Method"]
SCHEDULED = {
    "nightly-batch",
    "intake",
    "retrain-gold",
    "fit-references",
    "refit-twin",
    "deadline-watch",
    "reconcile",
    "verify",
}
UNKNOWN = 7
"""Exit code of a search that found nothing, and could not tell everything."""
ENDED = 900
"""Seconds that a deletion may take to its end, with its purge and two searches."""
SHOWN = [
    ("markdown", "likely by"),
    ("markdown", f"{METHOD}: "),
    ("markdown", "How the"),
    ("progress", re.compile(r"train \d golds")),
]

METRICS = {"accuracy_forget", "accuracy_retain", "accuracy_test", "average_gap", "membership_auc", "rmia_auc"}


@dataclass
class Case:
    """What the tests hand on."""

    names: list[str]
    people: list[str]
    run: str = ""
    token: str = ""


@pytest.fixture(scope="module")
def case(stack: Started) -> Case:
    """Three people of whom many records were learned, so that the audit can tell."""
    workspace = Workspace.open(stack.home)
    index = open_store(workspace, data_ref(workspace)).index()
    keys, names = workspace.keys(simulated=True), [f"contributor-{number:03d}" for number in range(100)]

    def learned(name: str) -> int:
        return int((index.splits[index.find_subject(keys.subject(name))] == 0).sum())

    chosen = sorted(names, key=learned)[-3:]
    printed = stack.tmu("plan", "--keys-only", *(part for name in chosen for part in ("--subject", name)))
    return Case(chosen, printed["subject_keys"])


def test_the_pages_ask_for_a_login(stack: Started, page: "Page") -> None:
    """And let in with the one that `make up` printed; a wrong one is asked for again."""
    page.goto(stack.page("/deployments"), wait_until="domcontentloaded")
    pages.log_in(page, "tmu:guessed")
    page.get_by_text("Authentication failed").first.wait_for()
    assert not page.get_by_text("nightly-batch").count()
    pages.log_in(page, ":".join(stack.login("prefect")))
    page.get_by_text("nightly-batch").first.wait_for()
    with page.context.browser.new_context() as stranger:
        assert stranger.request.get(str(stack.settings.mlflow_uri)).status == 401
    assert page.goto(str(stack.settings.mlflow_uri), wait_until="domcontentloaded").status == 200


def test_a_page_of_another_site_reaches_neither_server(stack: Started, page: "Page") -> None:
    """As a browser really sends it: with no Content-Type there is no preflight."""
    deployment = stack.deployments()["verify"]["id"]
    before = len(stack.ask("/flow_runs/filter"))
    targets = [
        f"{stack.settings.prefect_api_url}/deployments/{deployment}/create_flow_run",
        f"{stack.settings.mlflow_uri}/api/2.0/mlflow/experiments/create",
    ]
    with page.context.browser.new_context() as elsewhere, serving_a_page() as evil:
        tab = elsewhere.new_page()
        seen: list[int] = []
        tab.on("response", lambda answer: seen.append(answer.status) if answer.url in targets else None)
        tab.goto(evil)
        for target in targets:
            tab.evaluate(
                "to => fetch(to, {method: 'POST', mode: 'no-cors', body: new Blob(['{}'])}).catch(() => 0)", target
            )
        assert seen == [403, 403]
    assert len(stack.ask("/flow_runs/filter")) == before


@contextmanager
def serving_a_page() -> Iterator[str]:
    """The address of a page of some other local account."""
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/no-such-page"
        server.shutdown()


def test_schedules_make_planned_runs(stack: Started) -> None:
    """A server can look healthy and make none. It has a minute for those that were deployed just now."""
    found = {name: each for name, each in stack.deployments().items() if each["schedules"]}
    assert set(found) == SCHEDULED
    until = time.monotonic() + 60
    while (without := [name for name, each in found.items() if not _planned(stack, each["id"])]) and (
        time.monotonic() < until
    ):
        time.sleep(1)
    assert without == []


def _planned(stack: Started, deployment: str) -> bool:
    """Whether a run of the deployment is planned for later."""
    wanted = {
        "deployments": {"id": {"any_": [deployment]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
    }
    starts = [run["next_scheduled_start_time"] for run in stack.ask("/flow_runs/filter", wanted)]
    return any(datetime.fromisoformat(start) > datetime.now(UTC) for start in starts)


def test_the_form_explains_itself(stack: Started, page: "Page") -> None:
    form = pages.open_custom_run(page, stack.page("/deployments"))
    assert form.titles() == TITLES
    assert all(len(form.description(title)) > 20 for title in TITLES)
    assert "tmu plan --subject ID --keys-only" in form.description("People")
    assert form.chosen("When").startswith("urgent")
    assert form.choices("Method") == ["as configured", "auto", *method_names()]


def test_bad_input_is_refused_and_leaves_no_run(stack: Started, page: "Page", case: Case) -> None:
    """By the page, which asks the server; and by the API, whoever calls it."""
    form = pages.open_custom_run(page, stack.page("/deployments"))
    form.type("Request", REQUEST)
    form.type("Requested by", "support-1")
    form.add("People", "contributor-007")
    form.submit()
    form.field("People").get_by_text("does not match").wait_for()
    deployment = stack.deployments()["delete"]["id"]
    good = {"request": REQUEST, "requested_by": "support-1", "people": case.people}
    for bad in ({"people": ["contributor-007"]}, {"requested_by": "a@b.example"}, {"method": "magic"}, {"request": ""}):
        answer = stack.prefect.post(f"/deployments/{deployment}/create_flow_run", json={"parameters": good | bad})
        assert answer.status_code == 409 and next(iter(bad)) in answer.text, answer.text
    assert not stack.runs_of(REQUEST) and not stack.runs_of("")


def test_a_request_is_planned_and_waits_for_its_approval(
    stack: Started, page: "Page", case: Case, pictures: Path | None
) -> None:
    form = pages.open_custom_run(page, stack.page("/deployments"))
    form.type("Request", REQUEST)
    form.type("Requested by", "support-1")
    for key in case.people:
        form.add("People", key)
    form.choose("Method", METHOD)
    pages.picture(page, pictures, "prefect-form", 1450, "main, .p-layout-default")
    form.submit()
    page.get_by_role("button", name="View run").first.dispatch_event("click")  # it slides in
    page.wait_for_url("**/runs/flow-run/*")
    case.run = re.search(r"flow-run/([0-9a-f-]{36})", page.url).group(1)
    stack.timings["submit to suspended"] = stack.await_state(case.run, "Suspended", "approval-1")


def test_a_wrong_code_is_asked_for_again_with_the_reason(
    stack: Started, page: "Page", case: Case, pictures: Path | None
) -> None:
    form = pages.open_resume(page, stack.page(f"/runs/flow-run/{case.run}"))
    shown = form.all.inner_text()
    assert (
        REQUEST in shown
        and METHOD in shown
        and "support-1, who cannot approve it (typed into the form, not authenticated)" in shown
    )
    assert re.search(r"Erased: \d+ records in ", shown) and "Not accepted" not in shown
    assert shown.index("Likely method:") < shown.index("Price:") < shown.index("Stays:") < shown.index("requested by")
    form.type("Approval code", "dpo.1795383967.5d41402abc4b2a76b9719d911017c592")
    pages.picture(page, pictures, "prefect-approval", 1300, ".p-modal__card")
    form.submit()
    stack.await_state(case.run, "Suspended", "approval-2")
    again = pages.open_resume(page, stack.page(f"/runs/flow-run/{case.run}")).all.inner_text()
    assert "Not accepted. The code is not valid for this request and its plan." in again


def test_the_auditor_finds_the_people_before(stack: Started, case: Case) -> None:
    """A second person, with keys that only read; the inventory is theirs."""
    report = stack.tmu("verify-erasure", *named(case), "--before", str(inventory(stack)), "--json")
    found = {name for name, hits in report["hits_by_haystack"].items() if hits}
    assert found >= {"data", "DVC cache", "ledger", "Prefect", "PostgreSQL files"}
    assert report["principal"]["credentials"] == "s3_read_key, search_ledger"
    rights = {each["store"]: each["can_write"] for each in report["principal"]["accesses"]}
    assert not any(can for store, can in rights.items() if store.startswith("s3://") or store == "ledger database")


def named(case: Case) -> list[str]:
    """The people, as the auditor knows them."""
    return [part for name in case.names for part in ("--subject", name)]


def inventory(stack: Started) -> Path:
    """The auditor's own file."""
    return stack.home.parent / "inventory.json"


def test_an_approvers_code_lets_it_run_to_its_end(stack: Started, page: "Page", case: Case) -> None:
    """The code comes by an authenticated call, and proves who approves."""
    case.token = stack.tmu("token", "create", "--name", "dpo", "--role", "approver", "--json")["token"]
    plan = stack.api(case.token, "GET", f"/requests/{REQUEST}/plan")["plan_hash"]
    code = stack.api(case.token, "POST", f"/requests/{REQUEST}/approval-code", {"plan_hash": plan})["code"]
    form = pages.open_resume(page, stack.page(f"/runs/flow-run/{case.run}"))
    assert all(part in form.all.inner_text() for part in (plan[:32], plan[32:]))
    form.type("Approval code", code)
    form.submit()
    stack.timings["resumed to completed"] = stack.await_state(case.run, "Completed", seconds=ENDED)
    shown = stack.api(case.token, "GET", f"/requests/{REQUEST}")
    assert shown["state"] == "completed"
    assert [each["approver"] for each in shown["approvals"]] == ["dpo"]
    assert {each["state"] for each in shown["receipts"]} == {"forgotten"}
    refused = [entry["event"] for entry in shown["log"]].count("approval_code_refused")
    assert refused == 1  # the run started anew after it, and must not take it in once more


def test_the_page_of_the_run_shows_what_was_done(
    stack: Started, page: "Page", case: Case, pictures: Path | None
) -> None:
    pages.open_artifacts(page, stack.page(f"/runs/flow-run/{case.run}"))
    for kind, text in SHOWN:
        card = page.locator("a[href*='/artifacts/artifact/']").filter(has_text=text).first
        assert card.inner_text().casefold().startswith(kind), text
    pages.picture(page, pictures, "prefect-run", 1450, "main, .p-layout-default")
    found = {each["key"]: each for each in stack.artifacts(case.run) if each["key"]}
    seen = {}
    for name in ("plan", "audit", "batch"):
        page.goto(stack.page(f"/artifacts/artifact/{found[name]['id']}"), wait_until="domcontentloaded")
        page.get_by_role("table").wait_for()
        seen[name] = page.locator("#app").inner_text()
    assert "Likely method:" in seen["plan"] and "original" in seen["audit"] and "TA (%) → gold" in seen["audit"]
    assert "is in the live data" in seen["batch"] and "manifest.json" in seen["batch"]
    done = [each["data"] for each in stack.artifacts(case.run) if each["type"] == "progress"]
    assert len(done) >= 3 and set(done) == {100.0}


def test_the_log_of_the_run_tells_the_story(stack: Started, page: "Page", case: Case) -> None:
    page.goto(stack.page(f"/runs/flow-run/{case.run}"), wait_until="domcontentloaded")
    page.get_by_text(f"delete {REQUEST}").first.wait_for()  # the run's name
    page.get_by_text("Logs", exact=True).first.click()
    page.get_by_text(f"Request {REQUEST} waits for its approval").first.wait_for()
    page.get_by_text("Likely method:").first.wait_for()
    said = [line["message"] for line in stack.ask("/logs/filter", {"logs": {"flow_run_id": {"any_": [case.run]}}})]
    for begins in (
        "The answer was not accepted: ",
        "Erasing the records",
        "Audit: ",
        "Purging ",
        "Purged: ",
        "Searching all stores independently of the purge",
        f"The certificate of request {REQUEST}: ",
        f"Request {REQUEST} is completed",
    ):
        assert any(line.startswith(begins) for line in said), said
    assert not any(key in line for key in case.people for line in said)


def test_mlflow_shows_side_by_side_what_the_purge_left(
    stack: Started, page: "Page", case: Case, pictures: Path | None
) -> None:
    """From the link on the run's page: every metric has a number for the golds. Of the others a version tells."""
    (batch,) = [each for each in stack.artifacts(case.run) if each["key"] == "batch"]
    page.goto(stack.page(f"/artifacts/artifact/{batch['id']}"), wait_until="domcontentloaded")
    page.get_by_text("Those that learned the records are purged from MLflow.").wait_for()
    closeness = page.get_by_role("link", name="How close they are to the gold").get_attribute("href")
    link = page.get_by_role("link", name="Compare these versions in MLflow")
    page.goto(link.get_attribute("href"), wait_until="domcontentloaded")
    rows = pages.compared(page)
    assert rows["Run Name"] == ["gold v2", "gold v3"]
    numbers = {name: cells for name, cells in rows.items() if re.fullmatch("[a-z_0-9]+", name)}
    assert set(numbers) > METRICS
    assert not {name: cells for name, cells in numbers.items() if not all(cells)}
    if pictures:
        pages.make_room(page)
    pages.picture(page, pictures, "mlflow-compare", 960, "main")
    page.goto(closeness, wait_until="domcontentloaded")
    page.get_by_role("heading", name="average_gap", exact=True).wait_for()
    page.get_by_role("link", name="gold v3").nth(4).wait_for()  # a table a metric
    page.goto(f"{stack.settings.mlflow_uri}/#/models/tmu-digits/versions/1", wait_until="domcontentloaded")
    page.get_by_text("it learned records that were erased").first.wait_for()


def test_the_run_tells_how_the_purge_was_verified(stack: Started, page: "Page", case: Case) -> None:
    (batch,) = [each for each in stack.artifacts(case.run) if each["key"] == "batch"]
    page.goto(stack.page(f"/artifacts/artifact/{batch['id']}"), wait_until="domcontentloaded")
    page.get_by_text(re.compile(r"Purged: \d+ traces in \d+ stores are gone")).first.wait_for()
    assert not page.get_by_text("found again").count()
    run = stack.prefect.get(f"/flow_runs/{case.run}").json()
    assert run["parameters"]["request"] == REQUEST and run["parameters"]["people"] == []


def test_the_certificate_is_fetched_from_the_page_of_the_run(
    stack: Started, page: "Page", case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shown there in full, and fetched by its link; it verifies offline, and a changed one does not."""
    (shown,) = [each for each in stack.artifacts(case.run) if each["key"] == "certificate"]
    page.goto(stack.page(f"/artifacts/artifact/{shown['id']}"), wait_until="domcontentloaded")
    page.get_by_text(f"Certificate of request {REQUEST}.").first.wait_for()
    on_page = json.loads(page.locator("pre code").first.inner_text())
    link = page.get_by_role("link", name="Fetch it").get_attribute("href")
    fetched, keys = tmp_path / "certificate.json", tmp_path / "issuer.json"
    fetched.write_bytes(stack.fetched(case.token, link))
    keys.write_bytes(stack.fetched(case.token, f"{stack.settings.api_url}/certificate-keys"))
    assert json.loads(fetched.read_text()) == on_page
    monkeypatch.setattr(socket, "socket", None)  # offline
    verified = verify(fetched, Against(keys=keys, request=REQUEST))
    told = verified.statement.predicate
    assert (told["verification"]["result"], told["validation"]["result"]) == ("PASS", "PASS")
    assert "s3_read_key, search_ledger" in told["validation"]["by"]
    assert not any(key in fetched.read_text() for key in case.people)
    changed = tmp_path / "changed.json"
    changed.write_text(fetched.read_text().replace('"payload":"', '"payload":"A', 1))
    assert changed.read_text() != fetched.read_text()
    with pytest.raises(Refused):
        verify(changed, Against(keys=keys, request=REQUEST))


def test_the_auditor_finds_nobody_afterwards(stack: Started, case: Case) -> None:
    """0 hits, every old version gone. What golds learned cannot be told any more: the forget set is a commitment."""
    report = stack.tmu("verify-erasure", *named(case), "--after", str(inventory(stack)), "--json", codes=(0, UNKNOWN))
    assert {name: hits for name, hits in report["hits_by_haystack"].items() if hits} == {}
    assert [each for each in report["models"] if each["learned"] == "yes"] == []
    assert {each["answer"] for each in report["old_versions"]} <= {"404"}
    assert [each for each in report["not_looked_at"] if not each["rule"]] == []
    assert {each["why"] for each in report["hits"]} <= {TOMBSTONE, SUPPRESSION, ALIKE}


def test_the_evidence_is_pulled_with_the_auditors_key(stack: Started, case: Case) -> None:
    read = client(stack.settings, stack.settings.s3_read_key, stack.settings.s3_read_secret.get_secret_value())
    shown = {each["kind"]: each for each in stack.api(case.token, "GET", f"/requests/{REQUEST}")["evidence"]}
    assert set(shown) == {"data_revision", "audit", "model", "certificate"}
    audit = folder(read, shown["audit"]["uri"])
    assert hashlib.sha256(audit["manifest.json"]).hexdigest() == shown["audit"]["digest"]
    assert {"audit.json", "report.html"} <= set(audit)
    model = folder(read, shown["model"]["uri"])
    assert shown["model"]["digest"] in {hashlib.sha256(data).hexdigest() for data in model.values()}
    workspace = Workspace.open(stack.home)
    assert shown["data_revision"]["uri"] == f"dvc:{data_ref(workspace).digest}"
    assert shown["data_revision"]["digest"] == content_digest(workspace)


def test_other_keys_are_refused_and_the_auditors_key_only_reads(stack: Started) -> None:
    from botocore.exceptions import ClientError

    secret = stack.settings.s3_read_secret.get_secret_value()
    wrong = (
        client(stack.settings, stack.settings.s3_read_key, "0" * 40),
        client(stack.settings, "NOBODY00000000000000", secret),
    )
    read = client(stack.settings, stack.settings.s3_read_key, secret)
    thing = {"Bucket": "tmu-artifacts", "Key": read.list_objects_v2(Bucket="tmu-artifacts")["Contents"][0]["Key"]}
    for refused in (
        *(lambda other=other: other.get_object(**thing) for other in wrong),
        lambda: read.put_object(**thing, Body=b"x"),
        lambda: read.delete_object(**thing),
        lambda: read.delete_bucket(Bucket="tmu-artifacts"),
    ):
        with pytest.raises(ClientError) as found:
            refused()
        assert found.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert read.get_object(**thing)["Body"].read()
