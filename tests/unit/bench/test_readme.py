"""The README's numbers are those of the stored results."""

import pyarrow.compute as pc
import pytest

from bench import results
from bench.readme import BEGIN, END, NATURAL, README, SUITE, _cell, _costs, measured
from tests.result_tables import rows, table


def test_the_readme_holds_exactly_what_the_stored_results_say() -> None:
    block = README.read_text().split(BEGIN)[1].split(END)[0].strip()
    assert block == measured(results.read(SUITE), results.read(NATURAL))


@pytest.mark.parametrize("suite", [SUITE, NATURAL])
def test_every_row_names_its_origin(suite: str) -> None:
    stored = results.read(suite).to_pylist()
    assert stored
    for row in stored:
        assert row["command"].startswith("python -m bench ")
        assert row["hardware"]
        assert len(row["commit"]) == 40
        assert row["seconds"] is not None


def test_the_costs_of_a_deletion_are_said_once_they_are_measured() -> None:
    made = rows("tmu-soft", "seconds_ratio_alone", [0.08, 0.1]) + rows(
        "tmu-soft", "seconds_ratio_references", [4.0, 4.2]
    )
    made += rows("tmu-soft", "seconds_ratio_alone", [0.01, 0.01], "person")
    made += rows("tmu-soft", "seconds_ratio_audit", [0.02, 0.03], "verdict/random-10")
    said = _costs(table(made))
    assert "a random tenth: 0.09, one person: 0.01, its audit without golds: 0.025, its references, once: 4.1." in said
    assert _costs(table(rows("finetune", "seconds_ratio_alone", [0.3, 0.3]))) == ""


def test_a_row_that_lacks_seeds_is_not_shown() -> None:
    small, cell = results.read(SUITE), ("random-10", "tmu-soft", "average_gap", 2)
    assert _cell(small, *cell) != "–"
    kept = pc.or_(pc.equal(small["seed"], 0), pc.not_equal(small["method"], "tmu-soft"))
    assert _cell(small.filter(kept), *cell) == "–"
