"""A stored result of Prefect is data: what names a pickle, a foreign class or a decoder of its own runs nothing."""

import base64
import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from prefect._internal.result_records import ResultRecord
from prefect.serializers import CompressedSerializer, JSONSerializer, PickleSerializer

import tasks.common  # noqa: F401 - whatever defines a task of ours makes Prefect read results so
from tmu.errors import StorageError
from tmu.refs import DataRef, ModelRef

REF = DataRef(uri="data", digest="1.dir")


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, mark: Path):
        self.mark = str(mark)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.mark,)


def pickled(mark: Path) -> str:
    return base64.encodebytes(pickle.dumps(Bomb(mark))).decode()


def planted(mark: Path) -> dict[str, dict[str, Any]]:
    """Stored results that leave a mark where Prefect's own serializers load them, by what they name."""
    called = json.dumps({"__class__": "subprocess.getoutput", "data": [f"mkdir {mark}"]})
    compressed = CompressedSerializer(serializer=PickleSerializer(picklelib="pickle"), compressionlib="zlib")
    return {
        "pickle": {"metadata": {"serializer": {"type": "pickle", "picklelib": "pickle"}}, "result": pickled(mark)},
        "nothing": {"metadata": {}, "result": pickled(mark)},  # Prefect then takes it for a pickle
        "compressed": {
            "metadata": {"serializer": compressed.model_dump(serialize_as_any=True)},
            "result": compressed.dumps(Bomb(mark)).decode(),
        },
        "class": {"metadata": {"serializer": {"type": "json"}}, "result": called},
        "decoder": {
            "metadata": {"serializer": {"type": "json", "object_decoder": "tests.unit.tasks.test_results.decoder"}},
            "result": json.dumps({"mark": str(mark)}),
        },
    }


def decoder(found: dict[str, str]) -> None:
    os.mkdir(found["mark"])


@pytest.mark.parametrize("kind", ["pickle", "nothing", "compressed", "class"])
def test_a_planted_result_is_refused_by_name_and_not_executed(kind: str, tmp_path: Path) -> None:
    record = json.dumps(planted(tmp_path / "mark")[kind]).encode()
    with pytest.raises(StorageError, match="It was not loaded"):
        ResultRecord.deserialize(record, backup_serializer=JSONSerializer())
    assert not (tmp_path / "mark").exists()


def test_a_decoder_that_a_stored_result_names_is_not_called(tmp_path: Path) -> None:
    record = json.dumps(planted(tmp_path / "mark")["decoder"]).encode()
    assert ResultRecord.deserialize(record).result == {"mark": str(tmp_path / "mark")}
    assert not (tmp_path / "mark").exists()


def test_references_and_plain_values_come_back_as_they_were() -> None:
    model = ModelRef(uri="model/1", digest="3", weights="4", role="original")
    serializer = JSONSerializer()
    for value in (REF, model, {"n": 1, "of": [REF, None]}, "text", 2.5):
        assert serializer.loads(serializer.dumps(value)) == value


def test_an_error_comes_back_as_its_words() -> None:
    serializer = JSONSerializer()
    error = serializer.loads(serializer.dumps(ValueError("of a step")))
    assert isinstance(error, RuntimeError)
    assert str(error) == "builtins.ValueError: of a step"


@pytest.mark.parametrize("name", ["tmu.refs.BaseModel", "tmu.refs.Nothing", "tmu.config.Params", "Ref", "os.system"])
def test_only_references_are_made(name: str) -> None:
    with pytest.raises(StorageError, match="no reference"):
        JSONSerializer().loads(json.dumps({"__class__": name, "data": {}}).encode())
