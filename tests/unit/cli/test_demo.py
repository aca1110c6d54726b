"""What `tmu demo` ends with: a table beside a gold, and the closing sentences."""

import io
from typing import Any

import pytest
from rich.console import Console

from tmu.cli.demo import shown_beside_gold

GOLD = {"name": "gold", "accuracy_test": 98.0, "accuracy_forgotten": 96.4, "distance": 0.0}
GOLD |= {"seconds_step": 4.0, "seconds_whole": 5.0}
ROWS = [
    GOLD | {"name": "original", "accuracy_forgotten": 100.0, "distance": 0.051, "seconds_step": 3.0},
    GOLD,
    GOLD | {"name": "tmu-soft", "distance": 0.043, "seconds_step": 0.22, "seconds_whole": 0.9},
]


def _shown(**changes: Any) -> str:
    summary = {
        "beside_gold": ROWS,
        "first": {"price": {"request": 0.5}},
        "choice": {"pays_from": 7},
        "sentence": "The model treats the 170 records of 19 persons as one that never saw them does.",
        "pictures": ["/demo/distance.png", "/demo/people.png"],
        "seconds": 41.0,
    }
    page = io.StringIO()
    Console(file=page, width=80).print(*shown_beside_gold(summary | changes), sep="\n")
    return page.getvalue()


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("original", "98.0 100.0 0.051 – – – –"),
        ("gold", "98.0 96.4 – 4.0 s 100 % 5.0 s 100 %"),
        ("tmu-soft", "98.0 96.4 0.043 0.2 s 5.5 % 0.9 s 18 %"),
    ],
)
def test_the_table_sets_each_model_beside_the_gold(name: str, cells: str) -> None:
    (line,) = [line for line in _shown().splitlines() if line.split()[:1] == [name]]
    assert " ".join(line.split()[1:]) == cells


def test_it_closes_with_price_verdict_and_picture() -> None:
    said = " ".join(_shown().split())
    assert "The first request, one person: 0.5 s in all, 10 % of this retraining in all." in said
    assert "The references pay for themselves from deletion 7 on" in said
    assert "The model treats the 170 records of 19 persons as one that never saw them does." in said
    assert "Picture: /demo/distance.png" in said
    assert "people.png" not in said


def test_it_says_so_where_references_never_pay() -> None:
    assert "The references never pay for themselves" in " ".join(_shown(choice={"pays_from": None}).split())
