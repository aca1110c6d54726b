"""A dump of the ledger's PostgreSQL is put back after a purge, and nothing else; `tmu restore` erases again.

Two dumps: from before the request, which the ledger then does not know, and from between its approval and the deletion,
which holds the person's keys.
"""

import os
from collections.abc import Iterator

import pytest

from tests.integration.conftest import make_workspace
from tests.integration.test_restore_alone import DELETE, LEARNED, SMALL, Drill, run
from tests.ledger_tools import BOB
from tests.nursery import Nursery
from tests.postgres_server import dumped, put_back, server_of_its_own
from tmu.ledger import approvals
from tmu.ledger.place import opened
from tmu.steps.stored_certificate import stored

pytestmark = [pytest.mark.slow, pytest.mark.drill]


@pytest.fixture(scope="module")
def server() -> Iterator[object]:
    yield from server_of_its_own()


@pytest.fixture(scope="module")
def drill(server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    folder = tmp_path_factory.mktemp("alone-postgres")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMU_LEDGER", server.new_database("ledger"))
        patch.setenv("TMU_POSTGRES_DATA", str(server.folder / "data"))
        workspace = make_workspace(folder / "w", **SMALL)
        home = workspace.root
        with opened(workspace):
            pass  # there is a ledger
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_API")}
        with Nursery("tmu.cli", [], environment | {"TMU_DEBUG": "1"}) as nursery:
            run(nursery, home, "train", "original", "--register")
            run(nursery, home, "restore")  # the secret of the marks is there from the first look on
            dumped(os.environ["TMU_LEDGER"], folder / "before.dump")
            asked = run(nursery, home, *DELETE, code=8)
            with opened(workspace) as ledger:
                approvals.approve(ledger, asked["request"], asked["plan_hash"], BOB)
            dumped(os.environ["TMU_LEDGER"], folder / "approved.dump")
            run(nursery, home, *DELETE)
            certificate = stored(workspace, asked["request"])
            yield Drill(home, nursery, asked["request"], certificate, folder, {}, None)


def restored(drill: Drill, name: str) -> None:
    put_back(os.environ["TMU_LEDGER"], drill.backup / f"{name}.dump")


def test_after_the_purge_the_search_finds_nothing_and_the_certificate_verifies(drill: Drill) -> None:
    found = drill.searched()
    assert found["hits"] == [] and LEARNED not in found["names"] and found["names"]
    assert found["outcome"] == "PASS"
    assert {"ledger", "PostgreSQL files"} <= {each["name"] for each in found["haystacks"]}
    assert drill.tmu("certificate", "verify", drill.request)["verified"] is True


def test_a_dump_from_before_the_request(drill: Drill) -> None:
    """The ledger knows nothing of it; `tmu restore` names it, and the certificate verifies by itself."""
    restored(drill, "before")
    done = drill.replayed()
    assert [(each["request"], each["state"]) for each in done["forgotten"]] == [(drill.request, "")]
    assert drill.tmu("verify", drill.certificate)["verified"] is True


def test_a_dump_from_after_the_approval_holds_the_keys_and_they_are_shredded_again(drill: Drill) -> None:
    restored(drill, "approved")
    found = drill.searched()
    hit = {each["address"].partition("/")[2] for each in found["hits"] if each["haystack"] == "ledger"}
    assert found["outcome"] == "FAILED" and "public.request_keys" in hit
    looked = drill.tmu("restore")
    assert (looked["records"], looked["versions"]) == (0, []) and sum(looked["traces"].values()) > 0
    done = drill.replayed()  # also in the files of the server: heap, indexes, write-ahead log
    assert [(each["request"], each["state"]) for each in done["forgotten"]] == [(drill.request, "approved")]
    assert drill.searched()["outcome"] == "PASS"
    assert drill.tmu("request", "show", drill.request)["state"] == "duplicate"  # no batch takes it again
    assert drill.tmu("verify", drill.certificate)["verified"] is True
