"""The page of verdicts without golds: what it counts, and that it does not flatter."""

import numpy as np
import pytest

from bench.figures import truth as figure
from bench.tables.cells import EARLIER, Cells
from bench.tables.truth import caught, pairs_of, share, sizes_of, truth
from bench.tables.verdict import verdict
from tests.result_tables import row, rows, table
from tmu.audit.palette import INK

SETS = ("verdict/random-10", "verdict/person")
SAID = ("passed", "failed", "inconclusive")


def cell(
    method: str, name: str, table_says: str, golds_say: str, found: float, failed: float, seed: int = 0
) -> list[dict]:
    numbers = {f"table/{said}": float(said == table_says) for said in SAID}
    numbers |= {f"golds/{said}": float(said == golds_say) for said in SAID}
    numbers |= {"people/found": found, "people/count": 50.0, "seconds_ratio_audit": 0.02}
    numbers |= {"rules/membership": float(table_says == "failed"), "rules/utility": 0.0}
    for pairs in (1, 4):
        for size in (1, 30):
            strength = found * (size == 30) * (1 if pairs == 4 else 0.5)
            numbers |= {f"requests/{size}/{pairs}/found": strength, f"requests/{size}/{pairs}/count": 100.0 / size}
            numbers |= {f"alone/{size}/{pairs}/failed": failed * (size == 30), f"alone/{size}/{pairs}/count": 4.0}
    return [row(method, metric, value, seed, name) for metric, value in numbers.items()]


def page(*cells: list[dict]) -> Cells:
    return Cells.of(table([line for each in cells for line in each]), "d")


@pytest.fixture
def measured() -> Cells:
    return page(
        cell("second gold", SETS[0], "passed", "passed", 0.0, 0.0),
        cell("second gold", SETS[1], "inconclusive", "passed", 0.04, 0.25),
        cell("original", SETS[0], "failed", "failed", 1.0, 1.0),
        cell("original", SETS[1], "passed", "failed", 0.2, 0.0),
        cell("tmu-soft", SETS[0], "passed", "passed", 0.0, 0.0),
    )


def test_false_alarms_are_counted_over_honest_retrains_alone(measured: Cells) -> None:
    line = next(line for line in truth(measured) if line.startswith("False alarms"))
    assert "of the people in the forget sets 2.0 % of 100" in line  # 0 of 50 and 2 of 50; the original's do not count
    assert share(measured, SETS, "second gold", "people") == pytest.approx((0.02, 100))
    assert share(measured, SETS, "nobody", "people") is None


def test_what_is_caught_is_weighed_by_requests(measured: Cells) -> None:
    assert pairs_of(measured, SETS) == [1, 4] and sizes_of(measured, SETS, 4) == [1, 30]
    assert caught(measured, SETS, "original", 30, 4) == pytest.approx((0.5, 8))
    assert share(measured, SETS, "original", "requests/30/4") == pytest.approx((0.6, 7))
    text = "\n".join(truth(measured))
    assert "| original, nothing done | 0.0 % of 200 / 0.0 % of 8 | 60.0 % of 7 / 50.0 % of 8 |" in text
    assert text.index("honest retrain") < text.index("original, nothing done") < text.index("`tmu-soft`")


def test_agreement_counts_every_cell_and_a_wrong_pass_is_seen(measured: Cells) -> None:
    text = "\n".join(truth(measured))
    assert "Agreed: 3 of 5." in text
    assert "| without golds: passed | 2 | 0 | 1 |" in text
    assert "| original, nothing done | 1f / 1f | 1p / 1f | membership 1 |" in text
    assert "costs 0.020 retrainings (largest 0.020)" in text


def test_a_refusal_is_no_verdict() -> None:
    cells = page(cell("original", SETS[0], "failed", "failed", 1.0, 1.0), [row("amun", "refused", 1.0, 0, SETS[0])])
    assert "Agreed: 1 of 1." in "\n".join(truth(cells))
    assert truth(page(rows("tmu-soft", "average_gap", [1.0]))) == []


def test_verdicts_are_no_forget_sets_of_the_comparison(measured: Cells) -> None:
    assert measured.verdicts() == [*SETS]
    assert measured.forget_sets() == []


def test_the_curve_shows_what_fails_with_all_references_and_with_fewer(measured: Cells) -> None:
    drawn = figure.draw(measured)
    assert [axis.get_title(loc="left") for axis in drawn.axes] == ["random-10", "person"]
    lines = [line for line in drawn.axes[0].get_lines() if line.get_color() == INK]
    assert len(lines) == 2  # R = 4 and R = 1
    assert np.array(lines[0].get_xydata()) == pytest.approx(np.array([[1, 0], [30, 100]]))
    assert figure.draw(page(rows("tmu-soft", "average_gap", [1.0]))) is None


def test_the_default_is_compared_with_the_way_before_it_paired() -> None:
    made = []
    for method, gaps in {
        "tmu-soft": [1.0, 1.1, 0.9],
        EARLIER: [0.5, 0.7, 0.45],
        "second gold": [0.3, 0.3, 0.4],
    }.items():
        for metric in ("average_gap", "activation_distance"):
            made += rows(method, metric, gaps)
    text = "\n".join(verdict(page(made), "random-10"))
    assert f"to {EARLIER} (worse)" in text
