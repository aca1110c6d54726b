"""What Prefect reads back of stored results: plain JSON and our own references, never a pickle, never code.

A stored result names its own format, and with a login to Prefect's server somebody may say where results lie. Prefect's
`pickle` runs whatever the file says. So does its `json`: it imports any `__class__` and calls it with the file's
arguments, or lets the file name another decoder. Prefect has no setting that forbids a format, so `loads` of its
serializers is replaced in each process that imports our tasks. What is refused counts as not there, and the task runs
again.
"""

import json
from typing import Any

from prefect.serializers import CompressedSerializer, JSONSerializer, PickleSerializer, Serializer

from tmu import refs
from tmu.errors import StorageError

_HINT = "Find out who wrote it: look into `.tmu/prefect/results` and at the block `tmu-results` on Prefect's page."


def read_only_json() -> None:
    """Make Prefect's serializers of this process refuse all but JSON of plain values and references."""
    PickleSerializer.loads = _refused
    CompressedSerializer.loads = _refused
    JSONSerializer.loads = _plain


def _refused(serializer: "Serializer[Any]", blob: bytes) -> Any:
    what = f"A stored result of Prefect is in the format `{serializer.type}`, which may hold code. It was not loaded."
    raise StorageError(what, _HINT)


def _plain(serializer: "Serializer[Any]", blob: bytes) -> Any:
    """The value, whatever libraries and decoders the stored serializer names. Raises StorageError for other classes."""
    return json.loads(blob, object_hook=_made)


def _made(found: dict[str, Any]) -> Any:
    """A reference, from what `prefect_json_object_encoder` wrote; an exception's text; or the dictionary as it is."""
    if "__exc_type__" in found:
        return RuntimeError(f"{found['__exc_type__']}: {found.get('message')}")
    if "__class__" not in found:
        return found
    room, _, name = str(found["__class__"]).rpartition(".")
    made = vars(refs).get(name) if room == refs.__name__ else None
    if not (isinstance(made, type) and issubclass(made, refs.Ref)):
        what = f"A stored result of Prefect names `{found['__class__']}`, which is no reference. It was not loaded."
        raise StorageError(what, _HINT)
    return made.model_validate(found.get("data"))
