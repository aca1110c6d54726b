"""JSON with one meaning: what Python's reader decides by itself is refused."""

import json

import pytest

from tmu import strict_json
from tmu.strict_json import DuplicateKeyError


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('{"subjects": ["ann"], "subjects": ["bea"]}', "subjects"),
        ('{"requests": [{"id": "a", "id": "a"}]}', "id"),  # the same value twice is refused, too
        ('{"a": {"b": {"c": 1, "d": 2, "c": 3}}}', "c"),
        ('{"\\u0061": 1, "a": 2}', "a"),  # written differently, read as the same
        ('[{}, {"": 1, "": 2}]', ""),
    ],
)
def test_a_key_that_comes_twice_is_named(text: str, key: str) -> None:
    json.loads(text)  # Python's own reader takes the last
    for form in (text, text.encode()):
        with pytest.raises(DuplicateKeyError) as refused:
            strict_json.loads(form)
        assert refused.value.key == key


@pytest.mark.parametrize(
    "text", ['{"a": NaN}', "[Infinity]", "-Infinity", '{"a": 1e999}', "{", "", '{"a": 1} {"a": 2}']
)
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        strict_json.loads(text)


@pytest.mark.parametrize("data", [b"\xff\xfe{}", '{"a": "ä"}'.encode("latin-1"), '{"a": 1}'.encode("utf-16")])
def test_bytes_are_utf_8(data: bytes) -> None:
    with pytest.raises(ValueError):  # a decoding error or a JSON error
        strict_json.loads(data)


@pytest.mark.parametrize("value", [None, 1.5, "ä", [], {}, {"a": [{"a": 1}, {"a": 2}], "b": {"a": None}}])
def test_everything_else_is_read_as_it_is(value: object) -> None:
    assert strict_json.loads(json.dumps(value, ensure_ascii=False)) == value
