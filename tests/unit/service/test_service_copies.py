"""`with_copies` over HTTP: the records that hold the same pictures become part of the request, once."""

from pathlib import Path

import numpy as np
import pytest

from tests.ledger_tools import KEYS
from tests.service_tools import Api
from tests.unit.data.conftest import Made
from tmu.data.importer import import_records
from tmu.data.records import Record
from tmu.ledger.asked import named_keys
from tmu.service.roles import Role


class Pairs(Made):
    """Records i and i + 20 hold the same picture."""

    def records(self):
        for number in range(self.n):
            image = np.full(self.form, number % 20, np.uint8)
            yield Record(f"r{number}", f"person-{number}", number % 3, image, "train")


@pytest.fixture
def api(tmp_path: Path):
    (tmp_path / "params.yaml").write_text("{}")
    (tmp_path / ".tmu").mkdir()
    import_records(Pairs(n=40), tmp_path / "data", KEYS, n_buckets=4)
    made = Api(tmp_path)
    yield made
    made.close()


def named(api: Api, request: str) -> tuple[list[str], list[str]]:
    with api.ledger.read() as connection:
        return named_keys(connection, request)


def test_copies_become_part_of_the_request(api: Api) -> None:
    body = {"id": "case-1", "subjects": ["person-3"], "with_copies": True}
    assert api.call(Role.REQUESTER, "POST", "/requests", body).status_code == 201
    assert named(api, "case-1") == ([KEYS.subject("person-3")], [KEYS.record("r23")])
    assert api.call(Role.REQUESTER, "POST", "/requests", body).status_code == 200
    other = body | {"with_copies": False}
    assert api.call(Role.REQUESTER, "POST", "/requests", other).status_code == 409


def test_in_a_batch_each_for_itself(api: Api) -> None:
    first = {"id": "case-1", "subjects": ["person-3"], "with_copies": True}
    second = {"id": "case-2", "subjects": ["person-4"]}
    answers = api.good(Role.REQUESTER, "POST", "/requests:batch", {"requests": [first, second]})
    assert [each["status"] for each in answers] == [201, 201]
    assert named(api, "case-1")[1] == [KEYS.record("r23")]
    assert named(api, "case-2")[1] == []


def test_one_person_however_the_id_is_written(api: Api) -> None:
    api.good(Role.REQUESTER, "POST", "/requests", {"id": "case-1", "subjects": [" person-3 "]})
    assert named(api, "case-1")[0] == [KEYS.subject("person-3")]
    said = api.bad(Role.REQUESTER, "POST", "/requests", {"id": "case-2", "subjects": ["per\u200bson-3"]}, status=422)
    assert "U+200B" in said and "son-3" not in said
    hold = {"scope": "subject", "subject": "Jose\u0301", "reason": "file of JOS\u00c9"}
    assert "contains an id of this call" in api.bad(Role.OPERATOR, "POST", "/holds", hold, status=422)


def test_the_plan_shows_what_stays(api: Api) -> None:
    api.good(Role.REQUESTER, "POST", "/requests", {"id": "case-1", "subjects": ["person-3"]})
    api.good(Role.OPERATOR, "POST", "/requests/case-1/plan", {})
    (stays,) = api.good(Role.OPERATOR, "GET", "/requests/case-1/plan")["plan"]["stays"]
    assert stays.startswith("1 identical picture under other ids (1 person): 1 train.")
