import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from tmu.audit.figures import Predictor, accuracy_bars, alignment, draw_figures, forget_confidence, reliability
from tmu.audit.palette import colours
from tmu.audit.table import audit_table

GOLDS = ["gold", "second gold"]
NAMES = ("accuracy_bars", "forget_confidence", "alignment", "reliability")


@pytest.fixture(scope="module")
def audit(world):
    models = {**world.models(), "tmu": world.model(7, "retain", noise=0.6)}
    return audit_table(world.sets, models, GOLDS, {}, 0, resamples=100), models


@pytest.fixture(scope="module")
def predictor(world):
    wrong = world.hard["forget"]
    return Predictor(np.where(wrong, 0.7, 0.1) + np.linspace(0, 0.2, len(wrong)), wrong)


def test_all_figures_are_written_as_images_and_twice_the_same(tmp_path, world, audit, predictor):
    result, models = audit
    first = draw_figures(tmp_path / "a", result, world.sets, models, "tmu", predictor)
    second = draw_figures(tmp_path / "b", result, world.sets, models, "tmu", predictor)
    assert {file.name for file in first} == {f"{name}.{kind}" for name in NAMES for kind in ("png", "svg")}
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()
    for file in first:
        if file.suffix == ".png":
            with Image.open(file) as image:
                assert min(image.size) > 300 and len(image.convert("RGB").getcolors(10**6)) > 20
                assert "Software" not in image.info
        else:
            text = file.read_text()
            assert "<dc:date>" not in text and matplotlib.__version__ not in text


def test_without_predictor_there_is_no_reliability_figure(tmp_path, world, audit):
    files = draw_figures(tmp_path, audit[0], world.sets, audit[1], "tmu")
    assert not any("reliability" in file.name for file in files)


def test_bars_run_from_the_gold_to_the_models_number(audit):
    result, _ = audit
    panel = accuracy_bars(result).axes[0]
    gold, rows = result.value("gold", "accuracy_forget").value, ["original", "second gold", "tmu"]
    for bar, row in zip(panel.containers, rows, strict=True):
        ends = sorted([bar[0].get_x(), bar[0].get_x() + bar[0].get_width()])
        assert ends == pytest.approx(sorted([gold, result.value(row, "accuracy_forget").value]))
    assert [label.get_text() for label in panel.get_yticklabels()] == rows


def test_a_role_has_one_colour_in_every_figure(world, audit):
    result, models = audit
    chosen = colours(result.rows, result.golds)
    assert len(set(chosen.values())) == len(chosen)
    curves = forget_confidence(world.sets, models, result).axes[0].get_lines()
    assert {line.get_label(): to_hex(line.get_color()).upper() for line in curves if line.get_label() in chosen} == {
        row: chosen[row] for row in models
    }
    bars = accuracy_bars(result).axes[0].containers
    assert to_hex(bars[-1][0].get_facecolor()).upper() == chosen["tmu"]


def test_axes_carry_units_and_the_titles_say_what_to_see(world, audit, predictor):
    result, models = audit
    assert all("(%)" in axis.get_xlabel() for axis in accuracy_bars(result).axes)
    assert [axis.get_xlabel() for axis in alignment(result).axes] == [
        "activation distance (L2) ↓",
        "average gap (points) ↓",
    ]
    assert "AUROC 1.00" in reliability(predictor).get_suptitle()
    assert "gold" in forget_confidence(world.sets, models, result).get_suptitle()


def test_a_predictor_whose_gold_was_never_wrong_is_drawn_without_an_auroc():
    assert "undefined" in reliability(Predictor(np.array([0.0, 1.0]), np.zeros(2, bool))).get_suptitle()


def test_one_forgotten_record_and_one_gold_can_be_drawn(tmp_path, make_world):
    world = make_world(forget=1, retain=30, test=30)
    models = {"original": world.model(1, "forget", "retain"), "gold": world.model(2, "retain")}
    result = audit_table(world.sets, models, ["gold"], {}, 0, resamples=100)
    assert len(draw_figures(tmp_path, result, world.sets, models, "original")) == 6
