"""A fleet's rows as tables and figures read them."""

import pyarrow as pa
import pytest

from bench import results
from bench.figures import klom
from bench.tables.cells import Cells
from bench.tables.comparison import comparison
from bench.tables.cost import cost
from bench.tables.fleet import fleet
from bench.tables.summary import summary

NUMBERS = {
    "fleet_models": (32.0, "models"),
    "klom_forget": (2.5, "nats"),
    "klom_forget_low": (2.0, "nats"),
    "klom_forget_high": (3.25, "nats"),
    "klom_forget_floor": (1.6, "nats"),
    "rmia_auc": (51.0, "%"),
    "rmia_auc_low": (49.5, "%"),
    "rmia_auc_high": (53.0, "%"),
    "seconds_ratio_alone": (0.4, "retrainings"),
}


@pytest.fixture
def cells():
    common = dict.fromkeys(results.SCHEMA.names, "") | {"dataset": "digits", "method": "tmu-soft", "seed": 0}
    made = [
        common | {"forget_set": "fleet/random-10", "seconds": 1.0, "metric": metric, "value": value, "unit": unit}
        for metric, (value, unit) in NUMBERS.items()
    ]
    return Cells.of(pa.Table.from_pylist(made, results.SCHEMA), "digits")


def test_the_stored_interval_is_the_numbers_and_no_column_of_its_own(cells):
    lines = fleet(cells)
    assert "| random-10, 32 models a side | KLoM forget (nats) ↓ | its floor |" in lines
    assert "| `tmu-soft` | 2.500 [2.000, 3.250] | 1.600 |" in lines
    assert "| `tmu-soft` | 51.0 [49.5, 53.0] |" in lines
    assert not any("low" in line or "high" in line for line in lines)


def test_a_fleet_is_no_forget_set_of_the_comparison(cells):
    assert cells.forget_sets() == []
    assert cells.fleets() == ["fleet/random-10"]
    assert comparison(cells, "fleet/random-10") != []  # so that it matters that it is not asked for
    assert summary(cells) == cost(cells) == []


def test_the_figure_shows_the_interval(cells):
    axis = klom.draw(cells).axes[0]
    assert axis.get_title(loc="left") == "random-10"
    assert [2.0, 3.25] in [list(line.get_xdata()) for line in axis.lines]
