"""The README's numbers are those of the stored results."""

import pyarrow.compute as pc
import pytest

from bench import results
from bench.person_costs import CASES, Case, person_costs
from bench.readme import BEGIN, COSTS_BEGIN, COSTS_END, END, NATURAL, README, SUITE, _cell, _costs, measured
from tests.result_tables import rows, table


def test_the_readme_holds_exactly_what_the_stored_results_say() -> None:
    block = README.read_text().split(BEGIN)[1].split(END)[0].strip()
    assert block == measured(results.read(SUITE), results.read(NATURAL))


def test_the_readme_says_what_one_persons_deletion_costs() -> None:
    assert README.read_text().split(COSTS_BEGIN)[1].split(COSTS_END)[0].strip() == person_costs()


SHOWN = {case.suite for case in CASES if results.read(case.suite).num_rows}


@pytest.mark.parametrize("suite", [SUITE, NATURAL, *sorted(SHOWN)])
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


def test_a_line_of_the_costs_is_of_one_run_and_names_the_audit_and_what_is_made_once_apart() -> None:
    numbers = {"seconds_alone": 0.5, "seconds_ratio_alone": 0.05, "seconds_references": 21, "seconds_lessons": 90}
    numbers |= {"seconds_ratio_references": 2.1, "seconds_ratio_lessons": 9.0, "records_gone": 6, "records_stay": 1234}
    made = [each for metric, value in numbers.items() for each in rows("tmu-soft", metric, [value], "person")]
    audit = {"seconds_audit": 0.031, "seconds_ratio_audit": 0.0031}
    made += [each for metric, value in audit.items() for each in rows("tmu-soft", metric, [value], "verdict/person")]
    cases = (Case("a case", "s", "person"), Case("nothing is stored", "t", "person"))
    said = person_costs({"s": table(made), "t": table([])}.__getitem__, cases).splitlines()
    line = "| a case | 6 of 1,240 | 10 s | 0.5 s (5 %) | 0.031 s (0.31 %) | 21 s (210 %) | 90 s (900 %) |"
    assert said[2:] == [f"{line} [`x`](bench/results/s.md), 1 seed |", "", said[-1]] and said[-1].endswith(
        "On: cores 2."
    )
    assert person_costs({"t": table([])}.__getitem__, cases[1:]) == ""
