"""Time stamps by RFC 3161: asked for, checked, kept; a forged or foreign one is found out."""

import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.time_authority import Authority, authority
from tmu.errors import ConfigError, DataError
from tmu.heads.authority import Authority as Asked
from tmu.heads.place import head_name
from tmu.heads.time_stamp import TimeStamps
from tmu.ledger.log import Head

NOW = datetime(2026, 3, 10, tzinfo=UTC)
HEADS = [Head(2, "a" * 64), Head(12, "b" * 64)]


@pytest.fixture(scope="module")
def stamping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with authority(tmp_path_factory.mktemp("tsa") / "keys") as made:
        yield made


@pytest.fixture
def place(stamping: Authority, tmp_path: Path) -> TimeStamps:
    stamping.down = False
    return TimeStamps(Asked(stamping.url, stamping.root), tmp_path / "stamps")


def test_heads_are_stamped_with_the_time_of_the_authority(place: TimeStamps) -> None:
    assert place.held() == []
    for head in reversed(HEADS):
        assert place.note(head, NOW).error is None
    assert [each.head for each in place.held()] == HEADS
    assert all(datetime.now(UTC) - each.at < timedelta(minutes=1) for each in place.held())
    assert {each.place for each in place.held()} == {"time stamps of 127.0.0.1"}


def test_a_head_is_stamped_once(place: TimeStamps, stamping: Authority) -> None:
    before = stamping.asked
    for _ in range(2):
        assert place.note(HEADS[0], NOW).error is None
    assert stamping.asked == before + 1


def test_openssl_checks_a_stamp_without_us(place: TimeStamps, stamping: Authority, tmp_path: Path) -> None:
    place.note(HEADS[0], NOW)
    (stamp,) = (tmp_path / "stamps").glob("*.tsr")
    (tmp_path / "head").write_text(str(HEADS[0]))
    command = ["openssl", "ts", "-verify", "-in", stamp, "-data", tmp_path / "head", "-CAfile", stamping.root]
    assert b"Verification: OK" in subprocess.run(command, capture_output=True, check=True).stdout


def test_a_stamp_that_was_changed_or_renamed_is_found_out(place: TimeStamps, tmp_path: Path) -> None:
    place.note(HEADS[0], NOW)
    (stamp,) = (tmp_path / "stamps").glob("*.tsr")
    whole = stamp.read_bytes()
    stamp.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(DataError, match="entry 2 is not one of this authority"):
        place.held()
    stamp.write_bytes(b"")
    with pytest.raises(DataError, match="entry 2 is not one of this authority"):
        place.held()
    stamp.write_bytes(whole)
    shutil.move(stamp, stamp.with_name(f"{head_name(HEADS[1])}.tsr"))
    with pytest.raises(DataError, match="entry 12 is not one of this authority"):
        place.held()


def test_a_stamp_of_another_authority_is_neither_taken_nor_believed(
    place: TimeStamps, stamping: Authority, tmp_path: Path
) -> None:
    with authority(tmp_path / "other") as other:
        foreign = TimeStamps(Asked(other.url, stamping.root), tmp_path / "stamps")
        assert foreign.note(HEADS[0], NOW).error == "bad_time_stamp"
        assert place.held() == []
        TimeStamps(Asked(other.url, other.root), tmp_path / "stamps").note(HEADS[0], NOW)
    with pytest.raises(DataError, match="is not one of this authority"):
        place.held()


def test_an_authority_that_is_away_is_tried_again(place: TimeStamps, stamping: Authority) -> None:
    stamping.down = True
    answer = place.note(HEADS[0], NOW)
    assert (answer.error, answer.down, answer.final) == ("unreachable", True, False)
    stamping.down = False
    assert place.note(HEADS[0], NOW).error is None


def test_roots_that_are_none_are_named(stamping: Authority, tmp_path: Path) -> None:
    (tmp_path / "roots.pem").write_text("nothing")
    with pytest.raises(ConfigError, match="timestamp_ca"):
        TimeStamps(Asked(stamping.url, tmp_path / "roots.pem"), tmp_path).check()
    with pytest.raises(ConfigError, match="timestamp_url"):
        Asked("not an address", tmp_path / "roots.pem")
