"""The references from outside: the verb, the doctor, the flow with Prefect and without, the stage of `dvc.yaml`."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.cli_tools import bad, good, tmu
from tests.integration.conftest import make_workspace
from tmu.cli import upkeep
from tmu.config import Params
from tmu.files import read_json, write_json
from tmu.provenance import sources
from tmu.refs import ReferencesRef
from tmu.steps import fit_references as fitting
from tmu.steps.loading import data_ref
from tmu.steps.read_references import find_references
from tmu.workspace import Workspace

SMALL = {
    "model": {"name": "small_resnet", "options": {"width": 4}},
    "train": {"epochs": 2},
    "references": {"pairs": 1},
    "audit": {"bootstrap": 100, "head_records": 100},
}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return make_workspace(tmp_path_factory.mktemp("empty"), **SMALL)


@pytest.fixture(scope="module")
def fitted(empty: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("fitted") / "home"
    shutil.copytree(empty.root, home, symlinks=True)
    good(home, "references", "fit", "--register")
    return home


@pytest.fixture
def place(fitted: Path, tmp_path: Path) -> Workspace:
    return Workspace.open(shutil.copytree(fitted, tmp_path / "home", symlinks=True))


def set_rule(place: Workspace, erased: int, **rule: float) -> None:
    """A table after erasures: the numbers that the rule reads, as an erasure leaves them."""
    (held,) = place.artifacts.manifests("references")
    folder = place.artifacts.folder("references", held.uri.split("/")[1])
    with place.artifacts.derive(
        held, f"after-{erased}", held.manifest["identity"], read_json(folder / "run.json")
    ) as building:
        write_json(building / "info.json", read_json(folder / "info.json") | {"erased_records": erased})
    place.artifacts.remove(held.uri)
    raw = yaml.safe_load((place.root / "params.yaml").read_text())
    raw["references"] |= rule
    (place.root / "params.yaml").write_text(yaml.safe_dump(raw))


def test_fit_shows_what_it_made_and_fits_once(place: Workspace, monkeypatch) -> None:
    monkeypatch.setattr(fitting, "train_references", None)
    shown = good(place.root, "references", "fit")
    assert shown == good(place.root, "references", "show") == good(place.root, "references", "show", shown["uri"])
    assert (shown["kind"], shown["pairs"], shown["networks"], shown["renewal"]) == ("references", 1, 2, "fine")
    assert sum(shown["records"].values()) == 1797
    assert shown["seconds"] >= shown["seconds_networks"] > 0
    assert good(place.root, "references", "fit", "--renew")["digest"] == shown["digest"]  # nothing was erased


def test_the_cost_is_told_in_retrainings_once_an_original_was_trained(place: Workspace) -> None:
    assert good(place.root, "references", "show")["retrainings"] is None
    good(place.root, "train", "original")
    assert good(place.root, "references", "show")["retrainings"] > 0
    assert "retrainings" in tmu(place.root, "references", "show").stdout


def test_people_read_sentences(place: Workspace) -> None:
    shown = tmu(place.root, "references", "show").stdout
    assert "2 in 1 pairs, with fresh heads" in shown
    assert "0 training records (0.0 %) in 0 deletions" in shown


def test_without_references_show_says_how_to_fit_them(empty: Workspace) -> None:
    assert "tmu references fit" in bad(empty.root, "references", "show", code=3)
    assert "kind/key" in bad(empty.root, "references", "show", "references/none", code=2)


def test_out_is_a_folder_of_its_own(place: Workspace) -> None:
    made = good(
        place.root, "references", "fit", "--set", "references.pairs=2", "--out", place.root / "out" / "references"
    )
    assert made["uri"] == "file:out/references"
    assert good(place.root, "references", "show", "file:out/references")["pairs"] == 2


def test_the_doctor_warns_before_renewal_is_due_and_when_it_is(place: Workspace, empty: Workspace) -> None:
    assert upkeep.references(empty).text == "none yet"
    assert upkeep.references(place).state == "ok"
    set_rule(place, 9, renew_erased=0.02)  # of 533
    soon = upkeep.references(Workspace.open(place.root))
    assert (soon.state, soon.text.startswith("must be renewed soon. 1.7 %")) == ("warn", True)
    assert "tmu references fit" in soon.hint
    set_rule(place, 20)
    assert upkeep.references(Workspace.open(place.root)).text.startswith("must be renewed. 3.8 %")


def test_the_doctor_says_that_other_data_have_none(place: Workspace) -> None:
    raw = yaml.safe_load((place.root / "params.yaml").read_text())
    (place.root / "params.yaml").write_text(yaml.safe_dump(raw | {"seed": 5}))
    assert "as they are" in upkeep.references(Workspace.open(place.root)).text


@pytest.mark.drill
def test_the_flow_keeps_a_table_until_it_is_due_and_then_fits_a_new_one(place: Workspace, prefect_server: dict) -> None:
    from flows.fit_references import fit_references_flow

    data, first = data_ref(place), find_references(place, data_ref(place), place.params)
    assert fit_references_flow(home=str(place.root)) == first
    set_rule(place, 300)
    later = find_references(place, data, place.params)
    assert later is not None and later != first
    made = fit_references_flow(home=str(place.root))
    assert isinstance(made, ReferencesRef)
    assert made == first  # the same data and recipe: the same networks
    with place.registry.connected() as client:
        experiment = client.get_experiment_by_name("tmu-digits").experiment_id
        runs = client.search_runs([experiment], "tags.role = 'references'")
    assert [run.data.tags["references"] for run in runs] == [made.digest]


def test_the_stages_parameters_are_those_that_change_a_table() -> None:
    stage = yaml.safe_load((Path(__file__).parents[2] / "dvc.yaml").read_text())["stages"]["references"]
    named = {name.removeprefix("references.") for name in stage["params"] if name.startswith("references.")}
    assert named == set(Params().references.fitted())


def test_what_decides_over_a_tables_bits_is_part_of_its_identity() -> None:
    found = set(sources(*fitting.code_of(Params())))
    assert {
        *("tmu.references.halves", "tmu.references.network", "tmu.references.shards", "tmu.steps.references_table"),
        *("tmu.steps.train_references", "tmu.train.fresh_head", "tmu.train.engine", "tmu.models.small_resnet"),
    } <= found
    assert not {name for name in found if name.startswith(("tmu.stores", "tmu.unlearn", "tmu.twin"))}
