"""The glossary: one entry a term, and the rooms that follow it use no word that it replaces."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("tmu/twin", "tmu/unlearn", "tmu/audit")
NEEDED = {
    *("forget set", "retain set", "hold-out", "test set", "original", "gold", "unlearned model", "twin", "record"),
    *("subject", "record key, subject key", "data revision", "plan", "plan hash", "request", "batch", "deletion"),
    *("stage", "journal", "ledger", "verdict", "hint", "workspace", "observer", "group commit", "references"),
    *("table", "unseen outputs", "reference twin", "replay", "lead", "step", "power", "receipt", "certificate"),
    *("legal hold", "approval code", "lane"),
}
# words that no name and no sentence of those rooms may use
GONE = re.compile(r"\b(levell\w+|Leveller|sharpness|FAIL|mends?|prove nothing|proves little)\b")


def _entries() -> list[list[str]]:
    lines = (ROOT / "docs" / "glossary.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [row for row in cells if row[0] != "term" and set(row[0]) != {"-"}]


def test_every_term_has_one_entry_of_one_sentence():
    terms = [row[0] for row in _entries()]
    assert set(terms) >= NEEDED
    assert len(terms) == len(set(terms))
    for term, meaning, *replaced in _entries():
        assert len(replaced) == 1, term
        assert meaning[0].isupper() and meaning.endswith(".") and ". " not in meaning, term


def test_a_word_is_replaced_by_one_term_or_says_which_it_means():
    """A replaced word that names two things is told apart in brackets."""
    words = [word.strip() for row in _entries() for word in row[2].split(",") if word.strip()]
    assert sorted({word for word in words if words.count(word) > 1}) == []


def words_gone(source: str) -> set[str]:
    """The replaced words in a source's names, comments and strings."""
    ast.parse(source)
    return {found.group(1) for found in GONE.finditer(source)}


@pytest.mark.parametrize("room", ROOMS)
def test_the_rooms_use_no_word_that_is_gone(room):
    found = {
        (path.relative_to(ROOT).as_posix(), word)
        for path in (ROOT / room).rglob("*.py")
        for word in words_gone(path.read_text())
    }
    assert found == set()


def test_the_scan_finds_a_planted_word():
    assert words_gone("x = 1  # levelled twice\ny = 'FAIL: so this rule can prove nothing'") == {
        *("levelled", "FAIL", "prove nothing")
    }
