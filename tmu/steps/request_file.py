"""A request in a file that a command names: JSON as the API takes it, or the ids of people, one a line."""

from typing import Any

from pydantic import ValidationError

from tmu import strict_json
from tmu.data.tables import decoded, read_list
from tmu.errors import RequestError
from tmu.ledger.raw import RequestFile

_NAME = "The request file"
_ODD = "is neither lines of subjects nor the expected JSON"
_KEYS = ("subject_keys", "record_keys")
_FORM = 'Write {"subjects": ["..."], "records": ["..."]}; docs/api.md shows the whole form.'


def read_request(raw: bytes | str) -> RequestFile:
    """What a file asks for; a list of ids names people. Raises RequestError, which repeats nothing of the file."""
    text = decoded(raw, _NAME, RequestError) if isinstance(raw, bytes) else raw
    if not text.lstrip().startswith(("{", "[")):
        return _validated({"subjects": [id_ for _, id_ in read_list(text, _NAME, RequestError)]})
    try:
        value = strict_json.loads(text)
    except strict_json.DuplicateKeyError:
        raise RequestError(f"{_NAME} has the same key twice in an object.", "Write each key once.") from None
    except (ValueError, RecursionError):
        raise RequestError(f"{_NAME} {_ODD}.", _FORM) from None
    if isinstance(value, list):
        raise RequestError(f"{_NAME} holds several requests.", "Give one; files with several go into `.tmu/inbox`.")
    return _validated(value)


def _validated(value: Any) -> RequestFile:
    try:
        return RequestFile.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False)[0]
        field, place = first["loc"][0], [part for part in first["loc"][1:] if isinstance(part, int)]
        known = field if field in RequestFile.model_fields else "a name that is not known"
        number = place[0] + 1 if place else 1
        if field in _KEYS:
            raise RequestError(
                f"Key {number} of `{field}` in the request file is not a key of 32 hexadecimal digits.",
                "Make the file with `tmu plan --keys-only`.",
            ) from None
        where = f"`{known}`{f', number {number}' if place else ''}"
        raise RequestError(f"{_NAME} {_ODD} ({where}: {first['msg']}).", _FORM) from None
