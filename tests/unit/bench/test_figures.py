"""Figures show the stored numbers where they belong, look the same everywhere, and are left out without numbers."""

import numpy as np
import pytest

from bench.figures import densities, heatmap, klom, reliability, stream, tradeoff
from bench.figures.style import looks, panels
from bench.tables.cells import Cells
from bench.tables.columns import column
from tests.result_tables import row, rows, suite, table
from tmu.audit.drawing import png


@pytest.fixture(scope="module")
def cells() -> Cells:
    return Cells.of(table(suite()), "d")


def _cells(made: list[dict]) -> Cells:
    return Cells.of(table(made), "d")


def _xy(axis, marker: str) -> list[tuple[float, float]]:
    lines = [line for line in axis.get_lines() if line.get_marker() == marker]
    return [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in lines]


def test_the_tradeoff_puts_a_method_at_its_time_and_gap_with_the_floor_behind(cells: Cells) -> None:
    figure = tradeoff.draw(cells)
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["random-10", "whole-class"] * 2
    assert [axis.get_ylabel() for axis in figure.axes[1:3]] == ["avg gap (pts) ↓", "activation distance (L2) ↓"]
    axis = figure.axes[0]
    assert axis.get_xscale() == "log"
    for axis, metric in zip(figure.axes[::2], ("average_gap", "activation_distance"), strict=True):
        number, alone = (cells.estimate("random-10", "finetune", m).mean for m in (metric, "seconds_ratio_alone"))
        assert _xy(axis, looks(["finetune"])["finetune"].marker) == [pytest.approx((alone, number))]
    axis = figure.axes[0]
    floor = cells.estimate("random-10", "second gold", "average_gap")
    band = axis.patches[0]
    assert (band.get_y(), band.get_y() + band.get_height()) == pytest.approx((floor.low, floor.high))


def test_early_retraining_is_a_line_in_the_order_of_its_cost() -> None:
    made = []
    for share, gap in {".5": 1.0, ".05": 6.0, ".2": 3.0}.items():
        made += rows(f"early-retrain {share}", "average_gap", [gap, gap])
        made += rows(f"early-retrain {share}", "seconds_ratio_alone", [float(share)] * 2)
    cells = _cells(made)
    curve = [(0.05, 6.0), (0.2, 3.0), (0.5, 1.0)]
    assert tradeoff.early_curve(cells, "random-10", "average_gap") == [pytest.approx(each) for each in curve]
    line = next(line for line in tradeoff.draw(cells).axes[0].get_lines() if line.get_marker() == ".")
    assert list(zip(line.get_xdata(), line.get_ydata(), strict=True)) == [pytest.approx(each) for each in curve]
    assert tradeoff.early_curve(cells, "random-10", "activation_distance") == []


def test_what_is_made_once_is_a_second_point_of_the_same_row() -> None:
    made = rows("tmu-soft", "average_gap", [1.0, 1.2]) + rows("tmu-soft", "seconds_ratio_alone", [0.4, 0.4])
    axis = tradeoff.draw(_cells(made + rows("tmu-soft", "seconds_ratio_whole", [1.6, 1.6]))).axes[0]
    assert _xy(axis, "o") == [pytest.approx((1.6, 1.1)), pytest.approx((0.4, 1.1))]
    assert len(_xy(tradeoff.draw(_cells(made)).axes[0], "o")) == 1


def test_density_panels_lie_over_the_golds(cells: Cells) -> None:
    figure = densities.draw(cells, "random-10")
    titles = [axis.get_title(loc="left").partition(":")[0] for axis in figure.axes]
    assert titles == ["original", "second gold", "tmu-soft", "tmu", "random choice", "finetune"]
    gold = densities.density(cells, "random-10", "gold")
    for axis in figure.axes:
        filled = axis.patches[0].get_data().values
        assert filled == pytest.approx(np.maximum(gold, 1e-4))
    assert gold.sum() == pytest.approx(1)


def test_misplaced_is_the_share_that_lies_elsewhere() -> None:
    assert densities.misplaced(np.array([0.5, 0.5]), np.array([0.2, 0.8])) == pytest.approx(0.3)
    assert densities.misplaced(np.array([0.0, 1.0]), np.array([0.0, 1.0])) == 0


def test_the_heat_map_holds_multiples_of_the_floor_and_frames_the_winners() -> None:
    made = []
    for name, level in {"x": 1.0, "y": 2.0}.items():
        made += rows("second gold", "average_gap", [level, level], name)
        made += rows("tmu-soft", "average_gap", [3 * level, 3.1 * level], name)
    made += rows("salun", "average_gap", [1.0, 1.1], "y") + rows("salun", "refused", [1, 1], "x")
    cells = _cells(made)
    values = heatmap.matrix(cells, column(cells, "average_gap"))
    assert values[1] == pytest.approx([3.05, 3.05])
    assert np.isnan(values[0, 0])
    assert values[0, 1] == pytest.approx(0.525)
    axis = heatmap.draw(cells).axes[0]
    assert sorted((round(p.get_x() + 0.46), round(p.get_y() + 0.46)) for p in axis.patches) == [(0, 1), (1, 0)]
    assert sorted(text.get_text() for text in axis.texts) == ["0.53", "3.0", "3.0", "–"]


def test_klom_stands_beside_its_floor() -> None:
    made = rows("tmu-soft", "klom_forget", [0.5, 0.7]) + rows("tmu-soft", "klom_forget_floor", [0.35, 0.35])
    axis = klom.draw(_cells(made)).axes[0]
    assert _xy(axis, "o") == [pytest.approx((0.6, 0))]
    assert [line.get_xdata()[0] for line in axis.get_lines() if line.get_color() == "#E69F00"] == [0.35]


def test_the_stream_follows_each_deletion(cells: Cells) -> None:
    figure = stream.draw(cells)
    assert len(figure.axes) == 3
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    assert set(lines) == {"floor, or gold", "tmu-soft", "original, nothing done"}
    means = [cells.estimate(f"stream/{n:02d}", "tmu-soft", "average_gap").mean for n in range(1, 7)]
    assert list(lines["tmu-soft"].get_ydata()) == pytest.approx(means)
    assert list(lines["tmu-soft"].get_xdata()) == [1, 2, 3, 4, 5, 6]


def test_reliability_points_are_the_stored_bins() -> None:
    made = [
        row("twin", f"reliability/{side}/03", value) for side, value in {"predicted": 0.34, "observed": 0.5}.items()
    ]
    axis = reliability.draw(_cells([*made, row("twin", "reliability/count/03", 12)])).axes[0]
    assert _xy(axis, "o") == [pytest.approx((34, 50))]


@pytest.mark.parametrize("module", [tradeoff, klom, stream, reliability, heatmap])
def test_without_numbers_there_is_no_figure(module) -> None:
    assert module.draw(_cells([])) is None
    assert module.draw(_cells(rows("gold", "ua", [1.0]))) is None
    assert densities.draw(_cells(rows("gold", "density_forget/00", [1.0])), "random-10") is None


def test_known_rows_look_different_and_the_same_in_every_company() -> None:
    names = [
        "finetune",
        "l1-sparse",
        "neggrad-plus",
        "random-label",
        "salun",
        "scrub",
        "ssd",
        "sfr-on",
        "amun",
        "regun",
    ]
    names += ["bad-teacher", "tmu", "tmu-soft", "original", "random choice", "second gold"]
    shown = looks(names)
    assert len({(look.colour, look.marker) for look in shown.values()}) == len(names)
    assert looks(["ssd", "a stranger"])["ssd"] == shown["ssd"]
    assert looks(["a stranger"])["a stranger"] not in shown.values()


def test_the_same_figure_gives_the_same_bytes_without_a_date_or_version() -> None:
    made = rows("tmu-soft", "klom_forget", [0.5, 0.7])
    first, second = (png(klom.draw(_cells(made)), 60) for _ in range(2))
    assert first == second
    assert b"Software" not in first
    assert b"matplotlib" not in first
    assert png(klom.draw(_cells(rows("tmu-soft", "klom_forget", [0.5, 0.8]))), 60) != first


def test_panels_fill_lines_and_leave_no_empty_one() -> None:
    figure, axes = panels(4, columns=3)
    assert len(axes) == len(figure.axes) == 4
