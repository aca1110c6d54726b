"""The twin as an artifact: kept whole, and made anew when anything changes that its networks were trained by."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests.synthetic import SHAPE, TWIN
from tmu.config import Params
from tmu.errors import StorageError
from tmu.models.bundle import Arch
from tmu.refs import DataRef, ModelRef, TwinRef
from tmu.settings import Settings
from tmu.steps import fit_twin as step
from tmu.stores.artifacts import LocalArtifacts

ARCH = Arch("small_resnet", SHAPE, ("a", "b", "c"), {"width": 4})
DATA = DataRef(uri="data", digest="d0.dir")
ORIGINAL = ModelRef(uri="model/0", digest="0", weights="w0", role="original")
PARAMS = Params(twin=TWIN)


class _Workspace:
    """An artifact store and settings alone."""

    def __init__(self, root: Path):
        self.root, self.settings = root, Settings(device="cpu")
        self.artifacts = LocalArtifacts(root / "artifacts", root)


@pytest.fixture
def workspace(tmp_path: Path) -> _Workspace:
    return _Workspace(tmp_path)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch, solved) -> list[tuple]:
    """What `build_twin` was called with; it answers with the solved world's twin."""
    calls: list[tuple] = []
    monkeypatch.setattr(step, "open_store", lambda *_: None)
    monkeypatch.setattr(step, "load_model", lambda *_: (solved.original, ARCH))
    monkeypatch.setattr(step, "examples", lambda store, split: getattr(solved, split))
    monkeypatch.setattr(step, "engine", lambda *_: None)
    monkeypatch.setattr(step, "Journal", lambda _: SimpleNamespace(unfinished=list))
    monkeypatch.setattr(step, "refuse_suppressed", lambda *_: None)

    def build_twin(*args: object) -> tuple:
        calls.append(args)
        return solved.twin, solved.report

    monkeypatch.setattr(step, "build_twin", build_twin)
    return calls


def _changed(part: str, **fields: object) -> Params:
    return PARAMS.model_copy(update={part: getattr(PARAMS, part).model_copy(update=fields)})


def test_a_stored_twin_predicts_the_same(workspace, built, solved) -> None:
    back = step.load_twin(workspace, step.fit_twin(workspace, DATA, ORIGINAL, PARAMS))
    rows = torch.arange(240) < 48
    given = (solved.original, solved.train.take(rows), solved.train.take(~rows), "cpu")
    side, was = (twin.side(*given) for twin in (back, solved.twin))
    # a network in another memory format sums in another order
    assert torch.allclose(back.p_wrong(side), solved.twin.p_wrong(was), atol=1e-3)
    assert float(back.p_wrong(side).std()) > 0.05


def test_report_and_seconds_are_kept_beside_it(workspace, built, solved) -> None:
    ref = step.fit_twin(workspace, DATA, ORIGINAL, PARAMS)
    report = step.twin_report(workspace, ref)
    assert report["gate"] == solved.report.gate.as_json()
    assert report["predictor"]["n"] == 240
    folder = workspace.artifacts.fetch(ref.uri, ref.digest)
    assert all(f'"{part}"' in (folder / "run.json").read_text() for part in solved.report.seconds)


def test_a_twin_that_was_changed_on_disk_is_refused(workspace, built) -> None:
    ref = step.fit_twin(workspace, DATA, ORIGINAL, PARAMS)
    path = workspace.artifacts.fetch(ref.uri, ref.digest) / "twin.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.chmod(0o600)
    path.write_bytes(raw)
    with pytest.raises(StorageError):
        step.load_twin(workspace, ref)


@pytest.mark.parametrize(
    "other",
    [
        {"params": _changed("twin", attack_steps=6)},
        {"params": _changed("twin", curriculum_nets=3)},
        {"params": PARAMS.model_copy(update={"seed": 1})},
        {"data": DataRef(uri="data", digest="d1.dir")},
        {"original": ORIGINAL.model_copy(update={"weights": "w1"})},
    ],
    ids=["attack", "nets", "seed", "data", "original"],
)
def test_another_problem_has_another_twin(workspace, built, other) -> None:
    given = {"data": DATA, "original": ORIGINAL, "params": PARAMS}
    uris = {step.fit_twin(workspace, **{**given, **changes}).uri for changes in ({}, other)}
    assert (len(uris), len(built)) == (2, 2)


def test_what_the_twin_does_not_use_makes_no_other(workspace, built) -> None:
    first = step.fit_twin(workspace, DATA, ORIGINAL, PARAMS)
    assert isinstance(first, TwinRef)
    for params in (
        _changed("unlearn", options={"steps": 7}),
        _changed("audit", bootstrap=200),
        _changed("references", pairs=3),
        _changed("train", epochs=21),  # no network of it is trained by the original's recipe any more
    ):
        assert step.fit_twin(workspace, DATA, ORIGINAL, params) == first
    assert len(built) == 1
