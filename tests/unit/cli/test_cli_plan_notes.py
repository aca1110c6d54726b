"""What a plan says beside itself: that no issuer is named, while that can be mended; what is not measured yet."""

from pathlib import Path

import pytest

from tests.cli_tools import good, listing, tmu
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


def test_a_dry_run_with_threads_to_be_measured_measures_and_writes_nothing(tmp_path: Path, monkeypatch) -> None:
    from tmu.compute import threads

    monkeypatch.setattr(threads, "measured_seconds", lambda *_: pytest.fail("it measures"))
    place = with_digits(tmp_path / "w")
    (place.root / "tmu.toml").write_text('threads = "auto"\n')
    before = listing(place.root)
    shown = tmu(place.root, "delete", "--subject", "contributor-003", "--dry-run")
    assert shown.exit_code == 0, shown.output
    assert "`auto`, not measured yet" in " ".join(shown.stdout.split())
    assert listing(place.root) == before
