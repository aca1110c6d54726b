"""The benchmarks of the service, small: what they claim must be true, and the rows and the page must tell it."""

from pathlib import Path

import pytest

from bench import results
from bench.service import intake, page
from bench.service.__main__ import run
from bench.service.postgres import Postgres
from tests.ledger_tools import ALICE, KEYS, asked, in_memory
from tmu.ledger.intake import receive_together
from tmu.ledger.store import Ledger


def test_kill_9_amid_single_intakes_into_postgresql_loses_and_doubles_nothing(
    postgres: Postgres, tmp_path: Path
) -> None:
    rows = intake.measure(tmp_path, postgres, requests=400, clients=8)
    found = {metric: value for metric, (value, _) in rows.items()}
    assert 200 <= found["answered_before_the_kill"] < 400  # it was killed in the middle
    assert 1 <= found["calls_repeated"] <= 8
    broken = ("lost", "doubled", "entries_not_accounted_for", "answers_of_another_status")
    assert {metric: found[metric] for metric in broken} == dict.fromkeys(broken, 0)
    assert found["milliseconds_median"] > 0
    said = (tmp_path / "first.log").read_text() + (tmp_path / "second.log").read_text()
    assert said.count("POST /requests 201") >= 390
    assert "person 1" not in said and "case-" not in said


@pytest.mark.drill
@pytest.mark.slow
def test_planning_is_measured_stored_and_shown(tmp_path: Path) -> None:
    found = run("planning", {"records": 20_000, "requests": 600}, tmp_path)
    numbers = {metric: value for metric, (value, _) in found.items()}
    assert numbers["put_before_the_approver"] + numbers["refused_for_having_no_record"] == 600
    assert numbers["put_before_the_approver"] > 590
    assert numbers["changed_by_planning_once_more"] == 0
    assert 0 < numbers["seconds"] < 30
    rows = results.read(page.SUITE, tmp_path).to_pylist()
    assert {row["metric"]: row["value"] for row in rows} == numbers
    assert {row["command"] for row in rows} == {"python -m bench.service planning --records 20000 --requests 600"}
    text = page.render(tmp_path).read_text()
    assert "| put before the approver | " in text
    assert "## Intake" not in text  # it was not measured


def test_the_proof_finds_what_is_lost_or_written_twice() -> None:
    """Negative control: a count that cannot fail proves nothing."""
    ledger = in_memory()
    receive_together(ledger, KEYS, [(asked(f"case-{n}", f"p{n}"), ALICE) for n in (0, 1, 3)])
    assert proved(ledger) == (1, 0, 0)
    with ledger.write(ALICE) as tx:
        tx.log("received", "case-0")
    assert proved(ledger) == (1, 1, 1)


def proved(ledger: Ledger) -> tuple[float, ...]:
    rows = intake._proof(ledger, 3, 0)
    return tuple(rows[name][0] for name in ("lost", "doubled", "entries_not_accounted_for"))
