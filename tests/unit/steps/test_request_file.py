"""Files of requests that a command names: a list of people, or the JSON of the API; faults repeat nothing."""

import json

import pytest

from tmu.errors import RequestError
from tmu.steps.request_file import read_request


def test_a_list_and_json_say_the_same() -> None:
    assert read_request(b"\xef\xbb\xbf# people\nanna\n\nRoe, B\n").subjects == ["anna", "Roe, B"]
    body = {"subjects": ["anna"], "records": ["1.png"], "subject_keys": ["0" * 32], "record_keys": ["1" * 32]}
    found = read_request(json.dumps(body | {"with_copies": True, "id": "case-1", "urgent": True}).encode())
    assert {name: getattr(found, name) for name in body} == body
    assert (found.with_copies, found.id, found.urgent) == (True, "case-1", True)
    assert read_request(b"").raw_ids == read_request(b"{}").raw_ids == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"subjects": ["maria"], "subjects": ["zoe"]}', "same key twice"),
        ('{"subjects": "maria"}', r"`subjects`: Input should be a valid list"),
        ('{"subjects": ["zoe", 7]}', r"`subjects`, number 2"),
        ('{"maria": []}', "a name that is not known"),
        ('{"subjects": ["maria"]', "neither lines of subjects nor the expected JSON"),
        ('{"urgent": NaN}', "neither lines"),
        ('[{"subjects": ["maria"]}]', "several requests"),
        ('{"subject_keys": ["maria"]}', "Key 1 of `subject_keys`"),
        ('{"records": [" maria"]}', "begins or ends with a blank"),
        ("zoe\nma\u200bria\n", r"line 2, holds U\+200B"),
        ("zoe\nmaria\tx\n", r"line 2, holds U\+0009"),
        ('zoe\n"maria"\n', "line 2, begins with a quotation mark"),
    ],
)
def test_faults_are_named_and_nothing_is_repeated(text: str, told: str) -> None:
    with pytest.raises(RequestError, match=told) as caught:
        read_request(text.encode())
    assert "maria" not in str(caught.value)


def test_other_encodings_are_refused() -> None:
    for raw in ("maria\n".encode("utf-16"), "zoe\nZo\u00eb\n".encode("latin-1")):
        with pytest.raises(RequestError, match="UTF"):
            read_request(raw)
