"""The difference attack over a sequence of deletions, at toy size: real networks, and what is stored of them."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench import difference
from bench.difference import GOLDS, METHOD, advantage


def test_the_advantage_is_what_the_best_threshold_gives() -> None:
    assert advantage(np.array([3.0, 4.0]), np.array([0.0, 1.0, 2.0])) == 100
    assert advantage(np.array([3.0, 0.0]), np.array([0.0, 1.0, 2.0, 2.5])) == 50
    assert advantage(np.array([1.0, 1.0]), np.array([1.0])) == 0


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("difference")
    difference.main(deletions=2, epochs=1, out=out)
    return out


@pytest.mark.drill
def test_each_deletion_is_attacked_and_audited(stored: Path) -> None:
    found = json.loads((stored / "difference.json").read_text())
    assert [each["deletion"] for each in found["people"]] == [1, 2]
    assert sum(found["verdicts"].values()) == 2
    for each in found["people"]:
        assert each["records"] > 0 and found["verdicts"][each["outcome"]] > 0
        for name in (METHOD, GOLDS):
            told = each[name]
            assert 0 <= told["low"] <= told["value"] <= told["high"] <= 100
            assert abs(told["advantage"]) <= 100
    assert set(found["whole"]) == {METHOD, GOLDS}
    assert found["command"].startswith("python -m bench.difference") and found["hardware"]


@pytest.mark.drill
def test_the_page_says_where_it_is_from_and_names_nobody(stored: Path) -> None:
    text = (stored / "difference.md").read_text()
    assert text.count("\n| ") >= 2 + 3 and "contributor" not in text
    assert "Verdicts of the audits" in text and "Seed 0" in text
