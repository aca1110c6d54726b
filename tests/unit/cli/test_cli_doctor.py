"""The doctor's findings: what is broken fails, what waits warns, and each says how to fix it."""

import importlib.util
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.cli_tools import tmu
from tests.fake_s3 import fake_s3
from tests.unit.deletion.test_deletion import acknowledged
from tmu.cli import doctor, installation, upkeep
from tmu.data.importer import import_records
from tmu.data.keys import DEMO_SECRET, Keys
from tmu.data.readers import get_reader
from tmu.deletion.journal import Journal
from tmu.files import write_atomic, write_json
from tmu.workspace import Workspace


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace without DVC; the heavy imports are left to their own test."""
    monkeypatch.setattr(installation, "_IMPORTED", ())
    write_atomic(tmp_path / "params.yaml", b"seed: 0\n")
    return Workspace.open(tmp_path)


def _findings(home: Path, code: int) -> dict[str, dict]:
    import json

    result = tmu(home, "doctor", "--json")
    assert result.exit_code == code, result.output
    return {each["name"]: each for each in json.loads(result.stdout)}


def test_a_fresh_workspace_is_well_but_has_no_data(place: Workspace) -> None:
    found = _findings(place.root, 0)
    assert found["data"]["state"] == "warn"
    assert found["issuer"]["state"] == "warn"
    assert {each["state"] for name, each in found.items() if name not in ("data", "disk", "issuer")} == {"ok"}
    assert {"prefect", "mlflow", "dvc", "fastapi", "sqlalchemy"} <= set(found)


@pytest.mark.parametrize(
    ("settings", "state", "lacks"),
    [
        ("", "warn", "who issues them and where to ask"),
        ('issuer = "Museum"\n', "warn", "where to ask"),
        ('issuer = "Museum"\nissuer_contact = "privacy desk"\n', "ok", ""),
    ],
)
def test_who_issues_certificates_is_asked_for_before_one_is_issued(
    place: Workspace, settings: str, state: str, lacks: str
) -> None:
    (place.root / "tmu.toml").write_text(settings)
    check = _findings(place.root, 0)["issuer"]
    assert (check["state"], lacks in check["text"]) == (state, True)
    assert ("`issuer_contact = " in check["hint"], "`issuer = " in check["hint"]) == (state == "warn", not settings)


def test_no_workspace_fails_with_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "_IMPORTED", ())
    assert "tmu init" in _findings(tmp_path, 1)["workspace"]["hint"]


def test_bad_parameters_fail(place: Workspace) -> None:
    (place.root / "params.yaml").write_text("sed: 0\n")
    assert "`sed`" in _findings(place.root, 1)["workspace"]["text"]


def test_a_frozen_backbone_on_random_weights_warns(place: Workspace) -> None:
    assert _findings(place.root, 0)["recipe"]["state"] == "ok"
    (place.root / "params.yaml").write_text("train: {backbone_lr: 0}\n")
    recipe = _findings(place.root, 0)["recipe"]
    assert recipe["state"] == "warn"
    assert "random weights" in recipe["text"]
    assert "`model.init`" in recipe["hint"]


def test_a_version_that_is_not_the_pinned_one_fails(place: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "pins", lambda: {"fastapi": "0.0.1", "no-such-package": "1"})
    found = _findings(place.root, 1)
    assert "pinned is 0.0.1" in found["fastapi"]["text"]
    assert found["no-such-package"]["text"] == "not installed"


def test_a_package_that_cannot_be_imported_fails(place: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "_IMPORTED", ("torch", "no_such_package"))
    found = _findings(place.root, 1)
    assert (found["import torch"]["state"], found["import no_such_package"]["state"]) == ("ok", "fail")


def test_imports_that_worked_are_not_tried_again_until_something_is_installed(
    place: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    monkeypatch.setattr(installation, "_IMPORTED", ("colorsys", "json"))
    ours = SimpleNamespace(import_module=tried.append, util=importlib.util)  # others import while the doctor looks
    monkeypatch.setattr(installation, "importlib", ours)
    assert _findings(place.root, 0)["import json"]["text"] == "works"
    assert _findings(place.root, 0)["import json"]["text"] == "worked; nothing was installed since"
    assert tried == ["colorsys", "json"]
    now = installation._stamp({})
    monkeypatch.setattr(installation, "_stamp", lambda _: f"{now} and a package")
    assert _findings(place.root, 0)["import json"]["text"] == "works"
    write_atomic(place.state("imports.json"), b"[]")
    _findings(place.root, 0)
    assert tried == ["colorsys", "json"] * 3


def test_the_stamp_of_the_packages_changes_with_each_that_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation.sysconfig, "get_paths", lambda: dict.fromkeys(("purelib", "platlib"), tmp_path))
    before = installation._stamp({})
    assert installation._stamp({}) == before
    (tmp_path / "new_package").mkdir()
    assert installation._stamp({}) != before


def test_the_stamp_changes_with_the_systems_packages_and_with_what_a_package_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "dist-packages"
    (site / "heavy_thing" / "lib").mkdir(parents=True)
    (site / "heavy_thing" / "__init__.py").touch()
    monkeypatch.setattr(installation, "_IMPORTED", ("heavy_thing",))
    monkeypatch.setattr(installation.sys, "path", [*installation.sys.path, str(site)])
    first = installation._stamp({})
    (site / "heavy_thing" / "lib").rmdir()
    second = installation._stamp({})
    (site / "another.dist-info").mkdir()
    assert len({first, second, installation._stamp({})}) == 3


def test_a_file_that_was_lost_or_changed_deep_in_a_package_is_seen(
    place: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "packages"
    deep, told = site / "heavything" / "a" / "b" / "deep.py", site / "heavything-1.dist-info"
    deep.parent.mkdir(parents=True)
    told.mkdir()
    (site / "heavything" / "__init__.py").touch()
    deep.write_text("a = 1")
    names = ("heavything/__init__.py", "heavything/a/b/deep.py")
    (told / "RECORD").write_text("".join(f"{name},sha256=x,1\n" for name in names) + "heavything/data.bin,,\n")
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: heavything\nVersion: 1\n")
    monkeypatch.setattr(installation, "_IMPORTED", ("heavything",))
    monkeypatch.syspath_prepend(str(site))
    assert _findings(place.root, 0)["import heavything"]["text"] == "works"
    assert "nothing was installed" in _findings(place.root, 0)["import heavything"]["text"]
    deep.write_text("a = 22")
    assert _findings(place.root, 0)["import heavything"]["text"] == "works"  # it was tried anew
    deep.unlink()
    found = _findings(place.root, 1)["import heavything"]
    assert found["text"] == "1 file of it gone, such as heavything/a/b/deep.py" and "requirements.lock" in found["hint"]


def test_an_import_that_failed_is_tried_again(place: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "_IMPORTED", ("json", "no_such_package"))
    for _ in range(2):
        assert _findings(place.root, 1)["import no_such_package"]["state"] == "fail"
    assert not place.state("imports.json").exists()


def test_data_that_moved_away_from_its_revision_fails(place: Workspace) -> None:
    import_records(get_reader("digits"), place.data, Keys(DEMO_SECRET), n_buckets=1)
    assert "no data.dvc" in _findings(place.root, 1)["data"]["text"]
    (place.root / "data.dvc").write_text("outs:\n- md5: 0.dir\n")
    assert "dvc checkout" in _findings(place.root, 1)["data"]["hint"]


def test_early_stopping_by_few_holdout_records_warns_once_there_are_data(place: Workspace) -> None:
    (place.root / "params.yaml").write_text("train: {early_stop: 2}\n")
    assert _findings(place.root, 0)["recipe"]["state"] == "ok"
    import_records(get_reader("digits"), place.data, Keys(DEMO_SECRET), holdout=0.02, n_buckets=1)
    found = _findings(place.root, 1)["recipe"]
    assert found["state"] == "warn" and "Early stopping decides by" in found["text"]
    assert "`train.early_stop` to null" in found["hint"]


def test_an_unfinished_request_warns_and_says_how_to_go_on(place: Workspace) -> None:
    deletion = acknowledged()
    Journal(place).add(deletion)
    found = _findings(place.root, 0)["requests"]
    assert (found["state"], found["hint"]) == ("warn", f"Finish it first: `tmu delete --resume {deletion.id}`.")


def test_a_damaged_entry_of_the_journal_fails_and_hides_no_other_finding(place: Workspace) -> None:
    write_json(place.state("requests", "abc.json"), {"id": "abc", "stage": "erased"})
    found = _findings(place.root, 1)
    assert (found["requests"]["state"], "abc.json" in found["requests"]["text"]) == ("fail", True)
    assert "disk" in found


def test_an_old_snapshot_warns_and_a_fresh_one_does_not(place: Workspace) -> None:
    path = place.state("snapshots", "x.safetensors")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    assert _findings(place.root, 0)["snapshots"]["state"] == "ok"
    os.utime(path, (time.time() - 2 * 86400,) * 2)
    assert _findings(place.root, 0)["snapshots"]["state"] == "warn"


def test_little_room_warns_and_next_to_none_fails(place: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil
    from types import SimpleNamespace

    for gib, state in ((100, "ok"), (2, "warn"), (0.1, "fail")):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, gib=gib: SimpleNamespace(free=gib * 2**30))
        assert doctor._disk().state == state


def test_a_missing_secret_of_real_people_fails(place: Workspace, tmp_path: Path) -> None:
    (place.data).mkdir()
    write_json(
        place.data / "store.json",
        {
            "reader": "image-folder",
            "dataset": "d",
            "shape": [1, 2, 2],
            "classes": ["a", "b"],
            "key_id": "0" * 16,
            "simulated": False,
            "split_rule": {},
        },
    )
    found = _findings(place.root, 1)["secret"]
    assert found["state"] == "fail"
    assert "backup" in found["hint"]


def test_another_decoder_of_kept_jpegs_is_a_warning(place: Workspace, tmp_path: Path) -> None:
    from tests.photographs import photographs
    from tmu.data.info import read_info, write_info

    csv = photographs(tmp_path / "photos")
    reader = get_reader("image-folder", {"root": tmp_path / "photos", "subjects": csv})
    import_records(reader, place.data, place.keys(simulated=False), n_buckets=1)
    assert upkeep.decoder(place).state == "ok" and "Pillow" in upkeep.decoder(place).text
    write_info(place.data, read_info(place.data).model_copy(update={"decoder": "Pillow 1, libjpeg-turbo 1"}))
    found = upkeep.decoder(place)
    assert found.state == "warn" and "imported with Pillow 1" in found.text and "data verify" in found.hint


def test_an_s3_store_that_ignores_conditions_fails(place: Workspace) -> None:
    with fake_s3(conditions=False) as store:
        keys = 's3_access_key = "key"\ns3_secret_key = "secret"\n'
        (place.root / "tmu.toml").write_text(f'artifacts = "s3://models/team"\ns3_endpoint = "{store.url}"\n{keys}')
        found = _findings(place.root, 1)
    assert found["artifacts: checksums"]["state"] == "ok"
    assert found["artifacts: conditional put"]["state"] == "fail"
