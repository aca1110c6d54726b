"""The data of a suite: read once by the project's reader and importer, then kept as one file of tensors.

Keys are HMACs under the public demonstration secret, as the importer makes them for sets without real people.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch.nn.functional import interpolate

from bench.runner import faces
from bench.suite import Suite
from tmu.data.importer import import_records
from tmu.data.keys import DEMO_SECRET, Keys, key64
from tmu.data.readers import get_reader
from tmu.data.records import SPLITS
from tmu.data.store import RecordStore
from tmu.errors import DataError
from tmu.files import canonical_json, digest_of, write_atomic
from tmu.train import Examples

_EMBEDDED = "digits"


@dataclass(frozen=True, eq=False)
class Ground:
    """The three splits.

    subjects: contributor codes (N_train,) or None where each record is its own. people: by split int64 (N,), 64 bits of
    the keyed hash of each record's contributor, or of the record where that is its own.
    """

    train: Examples
    holdout: Examples
    test: Examples
    subjects: np.ndarray | None
    people: dict[str, torch.Tensor]
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    digest: str


def ground_file(suite: Suite, home: Path) -> Path:
    """The file of a suite's data, made where it is not there yet; `home` is the folder of all suites."""
    wanted = [suite.dataset, suite.reader, suite.layout, suite.sample_seed, *([suite.side] if suite.side else [])]
    path = home / "data" / f"{suite.dataset}-{digest_of(wanted)[:16]}.safetensors"
    if not path.is_file():
        tensors, facts, people = _read(suite, home)
        facts["digest"] = digest_of([facts, {name: _sha(value) for name, value in tensors.items()}])
        write_atomic(path, save(tensors | people, {"facts": canonical_json(facts).decode()}))
    return path


@cache
def load_ground(path: Path, device: str) -> Ground:
    """What `ground_file` made, on a device; a process loads it once."""
    with safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()["facts"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    parts = {
        split: Examples(*(tensors[f"{split}.{field}"] for field in ("images", "labels", "keys"))).to(device)
        for split in SPLITS
    }
    subjects = tensors["subjects"].numpy() if facts["subjects"] else None
    people = {split: tensors[f"{split}.people"] for split in SPLITS}
    about = (tuple(facts["shape"]), tuple(facts["classes"]), facts["digest"])
    return Ground(parts["train"], parts["holdout"], parts["test"], subjects, people, *about)


def _read(suite: Suite, home: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any], dict[str, torch.Tensor]]:
    """All tensors, the facts, and the people by split, by way of a record store that is thrown away."""
    name, options = _reader(suite, home)
    (home / "data").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home / "data") as folder:
        place, reader = Path(folder) / "store", get_reader(name, options)
        import_records(reader, place, Keys(DEMO_SECRET), split_seed=suite.sample_seed, **suite.layout)
        store = RecordStore.open(place)
        arrays = {split: store.load(split) for split in SPLITS}
    tensors = {}
    for split, part in arrays.items():
        fields = {"images": part.images, "labels": part.labels, "keys": part.key64}
        tensors |= {f"{split}.{name}": torch.from_numpy(value) for name, value in fields.items()}
        if suite.side:
            tensors[f"{split}.images"] = _scaled(tensors[f"{split}.images"], suite.side)
    people, codes = np.unique(arrays["train"].subject_keys, return_inverse=True)
    tensors["subjects"] = torch.from_numpy(codes.astype(np.int64))
    facts = {"shape": list(tensors["train.images"].shape[1:]), "classes": list(store.info.classes)}
    of = {f"{split}.people": torch.from_numpy(key64(part.subject_keys)) for split, part in arrays.items()}
    return tensors, facts | {"subjects": len(people) < len(codes)}, of


def _scaled(images: torch.Tensor, side: int) -> torch.Tensor:
    """uint8 (N, C, H, W) to (N, C, side, side), bilinear, some at a time."""
    parts = (part.float() for part in images.split(256))
    scaled = (interpolate(part, (side, side), mode="bilinear", antialias=True) for part in parts)
    return torch.cat([part.round().clamp(0, 255).to(torch.uint8) for part in scaled])


def _reader(suite: Suite, home: Path) -> tuple[str, dict[str, Any]]:
    """Name and options of the reader."""
    options = dict(suite.reader)
    if suite.dataset == _EMBEDDED:
        return suite.dataset, options
    root = _root(suite.dataset, home)
    if suite.dataset == faces.DATASET:
        return faces.reader(root, home / "data" / faces.DATASET, options)
    return suite.dataset, options | {"root": str(root), "sample_seed": suite.sample_seed}


def _root(dataset: str, home: Path) -> Path:
    """The folder of a public set: below $TMU_SHARED_DATA, or `shared/data` in or beside the repository."""
    repository = Path(__file__).parents[2]
    given = os.environ.get("TMU_SHARED_DATA")
    shared = [Path(given)] if given else [folder / "shared" / "data" for folder in (repository, repository.parent)]
    for folder in (place / dataset for place in shared):
        if (folder / "unpack.py").is_file():
            return _unpacked(folder, home / "data" / dataset)
        if folder.is_dir():
            return folder
    raise DataError(f"The images of `{dataset}` are not here.", "Set TMU_SHARED_DATA to the folder that holds them.")


def _unpacked(packed: Path, target: Path) -> Path:
    """A set that is shared in packed form, unpacked by its own program; once."""
    mark = target / ".unpacked"
    if not mark.is_file():
        done = subprocess.run(
            [sys.executable, str(packed / "unpack.py"), str(packed), str(target)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise DataError(f"{packed} could not be unpacked.", (done.stderr.splitlines() or ["Look there."])[-1])
        write_atomic(mark, b"")
    return target


def _sha(tensor: torch.Tensor) -> str:
    return hashlib.sha256(tensor.contiguous().view(-1).view(torch.uint8).numpy()).hexdigest()
