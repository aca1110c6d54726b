"""A model is known by its tensors: a file that was written anew is the model that it was."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tmu.files import sha256_file, write_json
from tmu.search.haystacks.temporary import Temporary
from tmu.search.inventory import Inventory, Revision
from tmu.search.look import Seen, Thing
from tmu.search.models import Models
from tmu.search.needles import Needles
from tmu.search.report import Learned, Model
from tmu.search.revisions import Revisions
from tmu.search.weights import is_weights, tensors_of

TENSORS = {"head.weight": torch.arange(6.0).reshape(2, 3), "head.bias": torch.ones(2), "steps": torch.tensor(7)}


def written(path: Path, change: str = "") -> Path:
    """The tensors with other metadata and the other way round, but for one change."""
    tensors = {name: each.clone() for name, each in reversed(TENSORS.items())}
    if change == "bytes":
        tensors["head.bias"][0] = 2
    elif change == "shape":
        tensors["head.weight"] = tensors["head.weight"].reshape(3, 2)
    elif change == "type":
        tensors["head.bias"] = tensors["head.bias"].view(torch.int32)
    elif change == "name":
        tensors["neck.bias"] = tensors.pop("head.bias")
    save_file(tensors, path, metadata={"format": "pt", "made": "elsewhere"})
    return path


@pytest.fixture
def original(tmp_path: Path) -> Path:
    save_file(TENSORS, tmp_path / "original.safetensors")
    return tmp_path / "original.safetensors"


def test_a_file_that_was_written_anew_has_the_same_tensors(original: Path, tmp_path: Path) -> None:
    anew = written(tmp_path / "anew.safetensors")
    assert sha256_file(anew) != sha256_file(original) and len(load_file(anew)) == 3
    assert tensors_of(anew) == tensors_of(original) != "" and is_weights(anew)


def test_another_order_of_the_bytes_is_no_difference(original: Path, tmp_path: Path) -> None:
    """By hand, because the library sorts tensors itself."""
    raw = {name: (each.numpy().tobytes(), each) for name, each in sorted(TENSORS.items())}
    header, body = {}, b""
    for name, (content, each) in raw.items():
        kind = {torch.float32: "F32", torch.int64: "I64"}[each.dtype]
        header[name] = {"dtype": kind, "shape": list(each.shape), "data_offsets": [len(body), len(body) + len(content)]}
        body += content
    head = json.dumps(header).encode()
    (tmp_path / "by-hand").write_bytes(len(head).to_bytes(8, "little") + head + body)
    assert sha256_file(tmp_path / "by-hand") != sha256_file(original)
    assert tensors_of(tmp_path / "by-hand") == tensors_of(original)


@pytest.mark.parametrize("change", ["bytes", "shape", "type", "name"])
def test_other_tensors_are_told_apart(original: Path, tmp_path: Path, change: str) -> None:
    assert tensors_of(written(tmp_path / "other.safetensors", change)) not in ("", tensors_of(original))


@pytest.mark.parametrize("content", [b"", b"\x00" * 20, b"\x02\0\0\0\0\0\0\0{}", b"PK\x03\x04 a zip of no weights"])
def test_what_is_no_file_of_weights_has_no_tensors(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "some").write_bytes(content)
    assert (tensors_of(tmp_path / "some"), is_weights(tmp_path / "some")) == ("", False)


def test_a_file_that_was_cut_has_no_tensors(original: Path) -> None:
    original.write_bytes(original.read_bytes()[:-1])
    assert tensors_of(original) == ""


def told(models: Models, path: Path, haystack: str = "workspace") -> Model:
    seen = Seen(sha256=sha256_file(path), md5="0", size=path.stat().st_size)
    models.note(Thing(haystack, f"{haystack}/{path.name}", path), seen, path.name)
    return next(each for each in models.told() if each.weights == seen.sha256)


@pytest.mark.parametrize(("change", "learned"), [("", Learned.YES), ("bytes", Learned.UNTELLABLE)])
def test_a_copy_in_a_temporary_folder_that_was_written_anew_learned_what_its_model_learned(
    original: Path, tmp_path: Path, change: str, learned: Learned
) -> None:
    models = Models(Revisions({"A": Revision(train=2, rows=3)}))
    files = {"weights.safetensors": sha256_file(original)}
    write_json(
        tmp_path / "manifest.json", {"kind": "model", "identity": {"stage": "original", "data": "A"}, "files": files}
    )
    seen = Seen(sha256="0", md5="0", size=1)
    models.note(Thing("workspace", "w/m/manifest.json", tmp_path / "manifest.json"), seen, "m")
    assert told(models, original).learned is Learned.YES
    copy = told(models, written(tmp_path / "copy.bin", change), Temporary.name)
    assert (copy.learned, copy.foreign) == (learned, learned is Learned.UNTELLABLE)
    assert ("its tensors are those of" in copy.source) is (change == "")


def test_the_inventory_knows_the_tensors_of_a_model_that_was_destroyed(original: Path, tmp_path: Path) -> None:
    before = Models(Revisions({"A": Revision(train=2, rows=3)}))
    files = {"weights.safetensors": sha256_file(original)}
    write_json(
        tmp_path / "manifest.json", {"kind": "model", "identity": {"stage": "original", "data": "A"}, "files": files}
    )
    seen = Seen(sha256="0", md5="0", size=1)
    before.note(Thing("workspace", "w/m/manifest.json", tmp_path / "manifest.json"), seen, "m")
    told(before, original)
    inventory = Inventory(taken="2026-11-29", needles=Needles(), models=before.told())
    after = Models(Revisions({}), inventory)
    found = told(after, written(tmp_path / "copy.bin"))
    assert (found.learned, found.foreign) == (Learned.YES, False)
