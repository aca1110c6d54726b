"""The files that `tmu init` writes, and the committed example at the top of the repository."""

import json
from pathlib import Path

import pytest
import yaml

import tmu
from tmu.config import WHOLE, Params, load_params
from tmu.data.importer import import_records
from tmu.data.keys import DEMO_SECRET, Keys
from tmu.data.readers import get_reader
from tmu.data.store import RecordStore

TOP = Path(__file__).parents[3]
DEFAULTS = Path(tmu.__file__).parent / "defaults"


def test_params_are_the_models_defaults_key_by_key() -> None:
    assert load_params(DEFAULTS / "params.yaml") == Params()
    assert _keys(yaml.safe_load((DEFAULTS / "params.yaml").read_text())) == _keys(
        Params().model_dump(mode="json", context=WHOLE)
    )


@pytest.mark.parametrize("name", ["params.yaml", "dvc.yaml"])
def test_the_top_of_the_repository_has_the_same_files(name: str) -> None:
    assert (TOP / name).read_bytes() == (DEFAULTS / name).read_bytes()


def test_every_parameter_of_a_stage_exists_and_every_dependency_is_made() -> None:
    stages = yaml.safe_load((DEFAULTS / "dvc.yaml").read_text())["stages"]
    made = {out for stage in stages.values() for out in stage["outs"] if isinstance(out, str)}
    for name, stage in stages.items():
        assert set(stage.get("params", [])) <= _keys(Params().model_dump(mode="json")), name
        for needed in stage["deps"]:
            assert needed in {"data", "request.json"} or made & {needed, str(Path(needed).parent)}, (name, needed)
        for reference in [word for word in stage["cmd"].split() if word.startswith("out/")]:
            assert any(str(path).startswith(reference) for path in [*stage["deps"], *_outs(stage)]), (name, reference)


def test_the_committed_example_is_reproduced_by_importing_digits(tmp_path: Path) -> None:
    keys = Keys(DEMO_SECRET)
    import_records(get_reader("digits"), tmp_path / "data", keys)
    store = RecordStore.open(tmp_path / "data")
    assert store.digest() == yaml.safe_load((TOP / "data.dvc").read_text())["outs"][0]["md5"]
    request = json.loads((TOP / "request.json").read_text())
    assert request == {
        "subject_keys": [keys.subject(f"contributor-{n:03d}") for n in range(7, 100, 10)],
        "record_keys": [],
    }
    index = store.index()
    train = sum(int((index.splits[index.find_subject(key)] == 0).sum()) for key in request["subject_keys"])
    assert 0.08 < train / sum(store.counts()["train"].values()) < 0.12


def test_dvc_asks_nothing_of_the_network() -> None:
    text = (TOP / ".dvc" / "config").read_text()
    assert "analytics = false" in text
    assert "check_update = false" in text


def _outs(stage: dict) -> list[str]:
    listed = [*stage["outs"], *stage.get("metrics", [])]
    return [each if isinstance(each, str) else next(iter(each)) for each in listed]


def _keys(value: dict, prefix: str = "") -> set[str]:
    nested = {f"{prefix}{name}" for name in value}
    for name, inner in value.items():
        if isinstance(inner, dict):
            nested |= _keys(inner, f"{prefix}{name}.")
    return nested
