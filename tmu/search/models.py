"""Every model that can be loaded, wherever its weights lie, and whether it learned the person.

What a model learned is concluded from manifests: the data revision it was trained on, the forget set it was trained
without, the model it was made from. A file that holds the tensors of such a model is one, too, however it was written.
A model of which no manifest says that is named as one that cannot be told.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tmu.search.deletions import Claim, Deletions, claim_of
from tmu.search.haystacks.temporary import Temporary
from tmu.search.inventory import Inventory
from tmu.search.look import Seen, Thing
from tmu.search.report import Learned, Model
from tmu.search.revisions import Revisions
from tmu.search.weights import is_weights, tensors_of

_OTHERS = (".pt", ".pth", ".pt2", ".ckpt", ".onnx", ".pkl", ".joblib", ".keras", ".h5")
_LOGGED = re.compile(r"(?:^|/)(m-[0-9a-f]{32})/")
_NOTE = re.compile(r"(?:^|/)\.tmu/purged/[^/]+/[^/]+\.json$")
_MOST_JSON = 1 << 26
_START = "start"  # the stage of weights that training began with
_ELSEWHERE = "weights that training here starts from; what they learned elsewhere no deletion reaches"


@dataclass
class Models:
    """Filled while things are looked at; `told` concludes."""

    revisions: Revisions
    inventory: Inventory | None = None
    _names: dict[str, set[str]] = field(default_factory=dict)  # weights -> addresses
    _claims: dict[str, Claim] = field(default_factory=dict)  # weights -> claim
    _forgets: dict[str, frozenset[str]] = field(default_factory=dict)  # folder -> records
    _forget_folders: dict[str, set[str]] = field(default_factory=dict)  # manifest's digest -> folders
    _at_home: set[str] = field(default_factory=set)  # weights that lie elsewhere than in a temporary folder
    _tensors: dict[str, str] = field(default_factory=dict)  # weights -> digest of the tensors in them
    _versions: dict[str, set[str]] = field(default_factory=dict)  # logged model or weights -> models:/NAME/N

    def __post_init__(self) -> None:
        self._deletions = Deletions(self.revisions, self._claims)

    def note(self, thing: Thing, seen: Seen, address: str) -> None:
        """One file; address: as the report may show it."""
        name = thing.address.rpartition("/")[2]
        folder = thing.address.rpartition("/")[0]
        shown = f"{address} ({thing.version})" if thing.version else address
        if is_weights(thing.path) or name.endswith(_OTHERS):
            self._names.setdefault(seen.sha256, set()).add(shown)
            if seen.sha256 not in self._tensors:
                self._tensors[seen.sha256] = tensors_of(thing.path)
            if thing.haystack != Temporary.name:
                self._at_home.add(seen.sha256)
            logged = _LOGGED.search(thing.address)
            if logged:
                self._names[seen.sha256].add(f"models:/{logged[1]}")
        if seen.size <= _MOST_JSON and name == "manifest.json":
            raw = _json(thing.path)
            self._manifest(folder, raw, seen.sha256)
            self._deletions.note(raw)
        elif seen.size <= _MOST_JSON and _NOTE.search(thing.address):
            self._claim(_json(thing.path).get("manifest"))
        elif seen.size <= _MOST_JSON and name == "forget.json":
            records = _json(thing.path).get("records")
            if isinstance(records, list):
                self._forgets[folder] = frozenset(map(str, records))
                digest = folder.rpartition("/")[2]  # in S3 a folder is called by its manifest's digest
                if re.fullmatch("[0-9a-f]{64}", digest):
                    self._forget_folders.setdefault(digest, set()).add(folder)

    def note_version(self, name: str, version: str, logged: str, weights: str) -> None:
        """A version in a registry; logged: id of its logged model, weights: SHA-256, each "" where it is not told."""
        for key in filter(None, (logged, weights)):
            self._versions.setdefault(key, set()).add(f"models:/{name}/{version}")

    def told(self) -> tuple[Model, ...]:
        """Each model once."""
        return tuple(self._model(weights) for weights in sorted(self._names))

    def covers(self) -> dict[str, bool]:
        """By digest of each forget set known, whether it holds all training records of the person."""
        found = dict(self.inventory.covers) if self.inventory else {}
        wanted = self.revisions.train_records()
        for digest, folders in self._forget_folders.items():
            for folder in folders & self._forgets.keys():
                if wanted:
                    found[digest] = wanted <= self._forgets[folder]
        return found

    def _manifest(self, folder: str, raw: dict[str, Any], sha256: str) -> None:
        if raw.get("kind") == "forget":
            self._forget_folders.setdefault(sha256, set()).add(folder)
        self._claim(raw)

    def _claim(self, manifest: Any) -> None:
        """What an artifact's manifest says of its weights; the first one counts, but for a start's."""
        raw = manifest if isinstance(manifest, dict) else {}
        identity, files = raw.get("identity"), raw.get("files")
        if not isinstance(identity, dict) or not isinstance(files, dict):
            return
        claim, adopted = claim_of(identity), identity.get("adopted")
        if isinstance(adopted, dict):  # the file that it came from learned the same
            self._claims[str(adopted.get("sha256"))] = claim
        for file, digest in files.items():
            if str(file).endswith(".safetensors"):
                known = self._claims.setdefault(str(digest), claim)
                if known.stage == _START:  # what was trained here is no start, whoever says so
                    self._claims[str(digest)] = claim

    def _model(self, weights: str) -> Model:
        names = set(self._names[weights]) | self._versions.get(weights, set())
        for name in list(names):
            names |= self._versions.get(name.removeprefix("models:/"), set())
        known = self._known(weights)
        claim = self._claims.get(known)
        learned, source = self._learned(known, frozenset())
        return Model(
            weights=weights,
            tensors=self._tensors.get(weights, ""),
            names=tuple(sorted(names)),
            role=claim.stage if claim else "",
            data=claim.data if claim else "",
            learned=learned,
            source=source if known == weights else f"its tensors are those of {known[:12]}: {source}",
            why=_ELSEWHERE if claim is not None and claim.stage == _START else "",
            foreign=claim is None and known == weights and weights not in self._at_home,
        )

    def _known(self, weights: str) -> str:
        """The weights with the same tensors of which something is known: itself, another file, the inventory's."""
        if weights in self._claims or not self._tensors.get(weights):
            return weights
        told = {model.weights: model.tensors for model in self.inventory.models} if self.inventory else {}
        if weights in told:
            return weights
        alike = {each for each, tensors in (self._tensors | told).items() if tensors == self._tensors[weights]}
        return min(alike & (self._claims.keys() | told.keys()), default=weights)

    def _learned(self, weights: str, asked: frozenset[str]) -> tuple[Learned, str]:
        for model in self.inventory.models if self.inventory else ():
            if model.weights == weights and model.learned is not Learned.UNTELLABLE:
                return model.learned, f"inventory: {model.source.removeprefix('inventory: ')}"
        claim = self._claims.get(weights)
        if claim is None or not claim.data or weights in asked:
            return Learned.UNTELLABLE, "no manifest says what it was trained on"
        return self._concluded(claim, asked | {weights})

    def _concluded(self, claim: Claim, asked: frozenset[str]) -> tuple[Learned, str]:
        held = self.revisions.of(claim.data)
        if claim.stage == "unlearned":
            return self._unlearned(claim, asked)
        if held is None and claim.stage == "gold" and self._deletions.left(claim):
            return self._without(claim, Learned.NO, "")
        if held is None:
            return Learned.UNTELLABLE, f"revision {claim.data[:12]} can be read nowhere"
        taught = held.train if claim.stage in ("original", "gold") else held.rows
        if not taught:
            return Learned.NO, f"revision {claim.data[:12]} held no training record of the person"
        if claim.stage == "gold" and claim.forget:
            return self._without(claim, Learned.NO, "it was trained without the forget set")
        return Learned.YES, f"revision {claim.data[:12]} held {taught} records of the person"

    def _unlearned(self, claim: Claim, asked: frozenset[str]) -> tuple[Learned, str]:
        base, why = self._learned(claim.original, asked)
        if base in (Learned.NO, Learned.UNLEARNED):
            return base, f"its original: {why}"
        held = self.revisions.of(claim.data)
        learned = base is Learned.YES or (held is not None and held.train > 0)
        if not learned and not self._deletions.unbroken(claim):
            return Learned.UNTELLABLE, "its original cannot be told"
        return self._without(claim, Learned.UNLEARNED, "its original learned them; the forget set holds them all")

    def _without(self, claim: Claim, where_covered: Learned, source: str) -> tuple[Learned, str]:
        covered = self.covers().get(claim.forget)
        after = self._deletions.left(claim) if covered is None else ""
        if after and self._deletions.left_nothing(claim):
            return where_covered, f"its forget set took out all: revision {after[:12]}, which it left, holds nothing"
        if after:
            return Learned.YES, f"its forget set does not hold them: revision {after[:12]}, which it left, does"
        if covered is None:
            return Learned.UNTELLABLE, f"forget set {claim.forget[:12]} can be read nowhere"
        return (where_covered, source) if covered else (Learned.YES, "its forget set does not hold all their records")


def versions_in(rows: Iterator[tuple[Any, ...]]) -> Iterator[tuple[str, str, str, str]]:
    """(name, version, logged model, weights) from rows of name, version, source, and the tag `weights_sha256`."""
    for name, version, source, weights in rows:
        logged = re.search(r"m-[0-9a-f]{32}", str(source or ""))
        yield str(name), str(version), logged[0] if logged else "", str(weights or "")


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
