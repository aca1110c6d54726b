"""A plan and a letter say that nobody is named as issuer, as long as that can be mended."""

from pathlib import Path

import pytest

from tests.cli_tools import good, tmu
from tests.digits import with_digits
from tmu.settings import Settings
from tmu.steps.unnamed_issuer import unnamed_issuer

NAMED = 'issuer = "Museum"\nissuer_contact = "privacy desk"\n'


def test_what_lacks_is_named_with_the_setting() -> None:
    assert "do not say where to ask. Write `issuer_contact = " in unnamed_issuer(Settings(issuer="Museum"))
    assert unnamed_issuer(Settings(issuer="Museum", issuer_contact="privacy desk")) is None


@pytest.mark.parametrize("settings", ["", NAMED])
def test_a_plan_says_it_to_people_and_not_to_programs(tmp_path: Path, settings: str) -> None:
    with_digits(tmp_path / "w")
    (tmp_path / "w" / "tmu.toml").write_text(settings)
    shown = tmu(tmp_path / "w", "plan", "--subject", "contributor-003")
    assert ("do not say who issues them" in " ".join(shown.stdout.split())) is (not settings), shown.output
    assert "hash" in good(tmp_path / "w", "plan", "--subject", "contributor-003")
