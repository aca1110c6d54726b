"""Erased pictures do not come back: exact, encoded again, resized, under another id, by another reader."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.unit.suppression.test_erased_pictures import scenes
from tmu.config import Params
from tmu.deletion.deletion import Stage
from tmu.deletion.journal import Journal
from tmu.deletion.plan import Asked
from tmu.errors import DataError
from tmu.steps.acknowledge import forget_set, written_down
from tmu.steps.cases import UnlearnCase
from tmu.steps.erase_data import erase_data
from tmu.steps.fit_twin import fit_twin
from tmu.steps.import_data import import_data
from tmu.steps.loading import data_ref, open_store
from tmu.steps.plan import plan_deletion
from tmu.steps.rotate_keys import rotate_keys
from tmu.steps.train_model import train_gold, train_original
from tmu.steps.unlearn_model import unlearn_model
from tmu.workspace import Workspace

PEOPLE, EACH, PERSON = 12, 4, "p03"


def photos(folder: Path) -> Path:
    """Four pictures each of twelve people, of two classes, and who is in them."""
    folder.mkdir()
    pictures = scenes(PEOPLE * EACH)
    with (folder / "who.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "subject", "split"])
        for number, image in enumerate(pictures):
            person = number // EACH
            Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{number:03}.png")
            table.writerow([f"{number:03}.png", "ab"[number % 2], f"p{person:02}", "train"])
    return folder


def read(workspace: Workspace, folder: Path, **options: object):
    asked = {"root": str(folder), "subjects": str(folder / "who.csv"), "size": 32}
    return import_data(workspace, "image-folder", asked, dataset="people", n_buckets=4, replace=True, **options)[1]


@pytest.fixture
def erased(tmp_path: Path) -> tuple[Workspace, Path]:
    """A workspace in which a person was erased, and the folder that still has their pictures."""
    folder = photos(tmp_path / "photos")
    workspace = Workspace.create(tmp_path / "w")
    assert read(workspace, folder).records == PEOPLE * EACH
    shutil.copytree(workspace.data, tmp_path / "yesterday")
    erase_person(workspace)
    return workspace, folder


def erase_person(workspace: Workspace) -> None:
    plan = plan_deletion(workspace, Asked.of([workspace.keys(simulated=False).subject(PERSON)], []))
    erase_data(workspace, data_ref(workspace), forget_set(workspace, plan))


def under_another_id(folder: Path, change) -> list[Path]:
    """The person's pictures come back changed, as those of somebody new. Returns their files."""
    rows = list(csv.reader((folder / "who.csv").open()))
    mine = [row for row in rows if row[2] == PERSON]
    files = []
    for row in mine:
        image = Image.open(folder / row[0])
        (folder / row[0]).unlink()
        files.append(change(image, folder / f"new-{row[0]}"))
        row[0], row[2] = files[-1].name, "somebody-new"
    with (folder / "who.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return files


def as_png(image: Image.Image, path: Path) -> Path:
    image.save(path, compress_level=1)
    return path


def as_jpeg(image: Image.Image, path: Path) -> Path:
    image.save(path.with_suffix(".jpg"), quality=70)
    return path.with_suffix(".jpg")


def larger(image: Image.Image, path: Path) -> Path:
    image.resize((80, 80)).save(path)
    return path


@pytest.mark.parametrize("change", [as_png, as_jpeg, larger])
def test_they_stay_out_under_another_id(erased: tuple[Workspace, Path], change) -> None:
    workspace, folder = erased
    under_another_id(folder, change)
    imported = read(workspace, folder)
    assert (imported.records, imported.suppressed, imported.skipped_erased) == ((PEOPLE - 1) * EACH, EACH, 0)
    assert any("left out" in each for each in imported.warnings)
    assert PERSON not in str(imported.warnings) and "somebody" not in str(imported.warnings)


def test_they_stay_out_after_the_secret_was_rotated(erased: tuple[Workspace, Path]) -> None:
    workspace, folder = erased
    for _ in range(2):
        rotate_keys(workspace)
        assert read(workspace, folder).skipped_erased == EACH
    under_another_id(folder, as_jpeg)
    assert read(workspace, folder).suppressed == EACH


def test_they_stay_out_where_a_backup_took_the_workspace_back(tmp_path: Path) -> None:
    """With setting `suppression` the pictures lie beside the tombstones, and not in the workspace."""
    folder, root = photos(tmp_path / "photos"), tmp_path / "w"
    Workspace.create(root)
    (root / "tmu.toml").write_text('suppression = "../marks"\n')
    workspace = Workspace.create(root)
    read(workspace, folder)
    shutil.copytree(root, tmp_path / "backup")
    erase_person(workspace)
    shutil.rmtree(root)
    shutil.copytree(tmp_path / "backup", root)
    shutil.rmtree(root / "data")
    (root / "data.dvc").unlink()
    under_another_id(folder, as_png)
    assert read(Workspace.open(root), folder).suppressed == EACH


def test_they_stay_out_by_another_reader(erased: tuple[Workspace, Path], tmp_path: Path) -> None:
    """A folder of classes, without people: every picture is one's own."""
    workspace, folder = erased
    rows = list(csv.DictReader((folder / "who.csv").open()))
    for row in rows:
        place = tmp_path / "classes" / row["label"] / f"x{row['path']}"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / row["path"], place)
    options = {"root": str(tmp_path / "classes"), "size": 32}
    imported = import_data(workspace, "image-folder", options, dataset="people", n_buckets=4, replace=True)[1]
    assert imported.suppressed == EACH


def test_near_copies_are_only_reported_where_that_is_asked_for(erased: tuple[Workspace, Path]) -> None:
    workspace, folder = erased
    under_another_id(folder, as_jpeg)
    imported = read(workspace, folder, near_copies="report")
    assert (imported.records, imported.suppressed) == (PEOPLE * EACH, 0)
    assert any(f"{EACH} pictures imported all the same" in each for each in imported.warnings)


def test_pictures_of_those_who_stay_come_back_as_before(erased: tuple[Workspace, Path]) -> None:
    workspace, folder = erased
    imported = read(workspace, folder)
    assert (imported.records, imported.suppressed, imported.skipped_erased) == ((PEOPLE - 1) * EACH, 0, EACH)


def test_a_picture_of_which_a_copy_stays_is_not_suppressed(tmp_path: Path) -> None:
    """The plan names the copy that stays under another id; the next import and training must not refuse it."""
    folder = photos(tmp_path / "photos")
    mine, others = folder / f"{3 * EACH:03}.png", folder / "000.png"
    shutil.copy(mine, others)
    workspace = Workspace.create(tmp_path / "w")
    read(workspace, folder)
    erase_person(workspace)
    assert read(workspace, folder).suppressed == 0
    train_original(workspace, data_ref(workspace), small())


def small() -> Params:
    return Params.model_validate({"model": {"options": {"width": 4}}, "train": {"epochs": 1}})


def test_no_model_is_trained_on_them(erased: tuple[Workspace, Path], tmp_path: Path) -> None:
    """Yesterday's data are put back by hand, past every import."""
    workspace, _ = erased
    original = train_original(workspace, data_ref(workspace), small())
    shutil.rmtree(workspace.data)
    shutil.copytree(tmp_path / "yesterday", workspace.data)
    data = data_ref(workspace)
    other = Asked.of([workspace.keys(simulated=False).subject("p05")], [])
    forget = forget_set(workspace, plan_deletion(workspace, other))
    case = UnlearnCase(data=data, forget=forget, original=original, params=small().with_method("retrain"))
    for made in (
        lambda: train_original(workspace, data, small()),
        lambda: train_gold(workspace, data, forget, small()),
        lambda: unlearn_model(workspace, case),
        lambda: fit_twin(workspace, data, original, small()),
    ):
        with pytest.raises(DataError, match=f"hold {EACH} pictures that were erased"):
            made()


def test_the_twin_of_a_deletions_control_is_not_refused_for_the_pictures_that_it_erases(
    erased: tuple[Workspace, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control is made when the pictures are on the list already, by the revision that still has them."""
    workspace, _ = erased
    asked = Asked.of([workspace.keys(simulated=False).subject("p05")], [])
    deletion = written_down(workspace, plan_deletion(workspace, asked), asked)
    original = train_original(workspace, deletion.plan.data, small())
    erase_data(workspace, deletion.plan.data, deletion.forget)
    reached = []

    def build_twin(*_: object) -> None:
        reached.append(True)
        raise InterruptedError

    monkeypatch.setattr("tmu.steps.fit_twin.build_twin", build_twin)
    with pytest.raises(InterruptedError):
        fit_twin(workspace, deletion.plan.data, original, small())
    Journal(workspace).advance(deletion, Stage.COMPLETED)
    with pytest.raises(DataError, match="pictures that were erased"):
        fit_twin(workspace, deletion.plan.data, original, small())
    assert reached == [True]


def test_a_lost_list_after_a_crash_is_written_before_the_first_byte_goes(
    erased: tuple[Workspace, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The erasure fails right after the list; the data are whole then, and the same erasure completes."""
    workspace, _ = erased
    keys = workspace.keys(simulated=False)
    data = data_ref(workspace)
    forget = forget_set(workspace, plan_deletion(workspace, Asked.of([keys.subject("p05")], [])))
    listing = workspace.state("suppression", "pictures.jsonl")
    before = len(listing.read_text().splitlines())

    def fails(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tmu.steps.erase_data.apply_in_place", fails)
        with pytest.raises(KeyboardInterrupt):
            erase_data(workspace, data, forget)
    assert data_ref(workspace) == data
    assert len(listing.read_text().splitlines()) == before + EACH
    after = erase_data(workspace, data, forget)
    assert len(listing.read_text().splitlines()) == before + EACH
    assert len(open_store(workspace, after).index()) == (PEOPLE - 2) * EACH
    assert np.unique([line.count("pixels") for line in listing.read_text().splitlines()]).tolist() == [1]
