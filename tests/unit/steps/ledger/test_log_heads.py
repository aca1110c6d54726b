"""Heads outside catch what the log cannot tell of itself: a cut tail, and a chain that was computed anew."""

import hashlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
import sqlalchemy as sa
from moto import mock_aws

from tests.cli_tools import tmu
from tests.ledger_tools import KEYS, Travel, approved, begun, complete, put, state, tampering
from tests.notify_tools import SECRET, receiving
from tests.service_tools import Api, described_home
from tests.time_authority import authority
from tmu.errors import ConfigError, DataError, StorageError
from tmu.files import canonical_json
from tmu.heads.own_note import read_own_note
from tmu.heads.places import places_of
from tmu.heads.time_stamp import TimeStamps
from tmu.ledger import proof
from tmu.ledger.errors import ChainError
from tmu.ledger.log import GENESIS
from tmu.ledger.place import open_ledger
from tmu.ledger.schema import audit_log
from tmu.ledger.states import State
from tmu.ledger.store import Ledger
from tmu.notify.sender import deliver_to
from tmu.service.roles import Role
from tmu.steps.ledger.log_heads import LogVerified, check_heads, note_head, verify_log
from tmu.steps.ledger.send_notifications import send_notifications
from tmu.steps.verify_all import check_compared, check_log
from tmu.workspace import Workspace


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return described_home(tmp_path / "home")


@pytest.fixture
def bucket(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The settings of a bucket with Object Lock."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="heads", ObjectLockEnabledForBucket=True)
        yield 'heads_s3 = "s3://heads/faces"\n'


@pytest.fixture
def stamps(tmp_path: Path) -> Iterator[str]:
    """The settings of a time stamp authority whose stamps lie outside the workspace."""
    with authority(tmp_path / "tsa") as made:
        yield f'timestamp_url = "{made.url}"\ntimestamp_ca = "{made.root}"\ntimestamps = "{tmp_path}/stamps"\n'


@pytest.fixture(params=["bucket", "stamps"])
def place(request: pytest.FixtureRequest, home: Path) -> Iterator[Workspace]:
    """A workspace that notes heads at one place outside."""
    (home / "tmu.toml").write_text(request.getfixturevalue(request.param))
    return Workspace.open(home)


@pytest.fixture
def ledger(place: Workspace) -> Iterator[Ledger]:
    made = open_ledger(place)
    yield made
    made.close()


def _verified(place: Workspace, ledger: Ledger) -> None:
    """What the weekly check does with the log, and the sending after it."""
    check_log(place, [])
    send_notifications(place)


def _cut(ledger: Ledger, left: int) -> None:
    """Cut off the log's end, and put the requests back into the states that the rest of it tells."""
    with tampering(ledger) as raw:
        raw.execute("DELETE FROM audit_log WHERE seq > ?", (left,))
        raw.execute("PRAGMA foreign_keys = OFF")
        raw.execute("DELETE FROM requests WHERE id NOT IN (SELECT request_id FROM audit_log WHERE request_id NOT NULL)")
        raw.execute("PRAGMA foreign_keys = ON")


def _forge(ledger: Ledger) -> None:
    """Write another name into the whole log, and compute all hashes anew."""
    with ledger.read() as connection:
        rows = connection.execute(sa.select(audit_log.c.seq, audit_log.c.body).order_by(audit_log.c.seq)).all()
    previous = GENESIS
    with tampering(ledger) as raw:
        for seq, body in rows:
            entry = json.loads(body) | {"actor": "malory", "previous": previous}
            previous = hashlib.sha256(canonical_json(entry)).hexdigest()
            changed = (canonical_json(entry).decode(), previous, seq)
            raw.execute("UPDATE audit_log SET body = ?, hash = ? WHERE seq = ?", changed)


def _note(place: Workspace, ledger: Ledger, how: str) -> None:
    """What an intruder does to the workspace's own note."""
    note = place.state("verified.head")
    if how == "deleted":
        note.unlink()
    else:
        note.write_text(f"{proof.verify(ledger)}\n")


@pytest.mark.parametrize("note", ["deleted", "computed anew"])
@pytest.mark.parametrize("attack", ["cut", "forged", "forged, then grown"])
def test_an_attack_on_the_log_is_found_out(place: Workspace, ledger: Ledger, attack: str, note: str) -> None:
    for number in range(3):
        put(ledger, f"r{number}")
    note_head(place, ledger)  # as a batch does
    _verified(place, ledger)
    assert len(verify_log(place, ledger).compared) == 2  # the place, and the workspace's own note
    if attack == "cut":
        _cut(ledger, 4)
    else:
        _forge(ledger)
    _note(place, ledger, note)
    proof.verify(ledger)  # by itself the log is sound
    if attack == "forged, then grown":  # the forged log goes on, and its head is noted, too
        put(ledger, "r9")
        note_head(place, ledger)
    why = "is missing: the log once had 6 entries" if attack == "cut" else "the log was rewritten"
    with pytest.raises(ChainError, match=why) as found:
        verify_log(place, ledger)
    assert places_of(place)[0].name in found.value.hint
    with pytest.raises(ChainError):
        check_log(place, [])


@pytest.mark.parametrize("note", ["deleted", "computed anew"])
def test_a_cut_log_beside_an_emptied_place_does_not_pass(home: Path, tmp_path: Path, note: str) -> None:
    """The stamps lie in the workspace, as is the default: who cuts the log deletes them, too."""
    with authority(tmp_path / "tsa") as tsa:
        (home / "tmu.toml").write_text(f'timestamp_url = "{tsa.url}"\ntimestamp_ca = "{tsa.root}"\n')
        place = Workspace.open(home)
        ledger = open_ledger(place)
        for number in range(3):
            put(ledger, f"r{number}")
        note_head(place, ledger)
        _verified(place, ledger)
        assert tmu(home, "ledger", "verify").exit_code == 0
        warned = {check.name: check.state for check in check_heads(place)}
        assert warned["time stamps of 127.0.0.1: folder"] == "warn"
        _cut(ledger, 4)
        _note(place, ledger, note)
        for stamp in place.state("timestamps").iterdir():
            stamp.unlink()
        result = tmu(home, "ledger", "verify")
        assert result.exit_code == 7
        assert "time stamps of 127.0.0.1: it holds no head" in " ".join(result.output.split())
        found: list[LogVerified] = []
        check_log(place, found)
        with pytest.raises(StorageError, match="not be compared"):
            check_compared(found)
        send_notifications(place)
        assert places_of(place)[0].held() == []  # the cut head was not stamped
        warned = {check.name: check.state for check in check_heads(place)}
        assert warned["time stamps of 127.0.0.1"] == "warn"
        ledger.close()


def test_a_new_place_takes_its_first_head_from_a_batch_or_by_a_head_kept_elsewhere(
    place: Workspace, ledger: Ledger
) -> None:
    name = places_of(place)[0].name
    assert verify_log(place, ledger).silent == ()  # nothing is in the log yet
    put(ledger, "r1")
    assert tmu(place.root, "ledger", "verify").exit_code == 7
    assert places_of(place)[0].held() == []
    zero = f"0:{GENESIS}"
    tmu(place.root, "ledger", "verify", "--head", zero)
    assert places_of(place)[0].held() == []  # that head compares with nothing
    assert tmu(place.root, "ledger", "verify", "--head", str(proof.verify(ledger))).exit_code == 0
    assert [each.place for each in verify_log(place, ledger).compared] == [name]
    assert tmu(place.root, "ledger", "verify").exit_code == 0


def test_without_a_place_outside_the_same_attack_passes(home: Path) -> None:
    """The control: this is why the heads go out."""
    place = Workspace.open(home)
    ledger = open_ledger(place)
    for number in range(3):
        put(ledger, f"r{number}")
    _verified(place, ledger)
    _cut(ledger, 4)
    _note(place, ledger, "deleted")
    assert verify_log(place, ledger).compared == ()
    (check,) = check_heads(place)
    assert (check.state, "only in this workspace" in check.text) == ("warn", True)
    ledger.close()


def test_the_own_note_must_be_a_head(place: Workspace, ledger: Ledger) -> None:
    place.state("verified.head").write_text("nothing\n")
    with pytest.raises(DataError, match="no head of the log"):
        verify_log(place, ledger)


def test_begin_and_end_of_a_batch_are_noted(place: Workspace, ledger: Ledger) -> None:
    approved(ledger, "r1")
    complete(ledger, begun(ledger))
    send_notifications(place)
    held = places_of(place)[0].held()
    assert len(held) == 2
    assert held[-1].head == proof.verify(ledger)


def test_a_head_survives_kill_9_before_it_was_sent_and_amid_the_sending(
    home: Path, stamps: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "tmu.toml").write_text(stamps)
    place = Workspace.open(home)

    def killed(work: Callable[[], None]) -> None:
        if (child := os.fork()) == 0:
            work()
            os.kill(os.getpid(), signal.SIGKILL)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL

    def serve() -> None:
        ledger = open_ledger(place)
        approved(ledger, "r1")
        complete(ledger, begun(ledger))

    def send() -> None:  # killed once the first head has been stamped, before that is noted
        monkeypatch.setattr(TimeStamps, "note", lambda *given: real(*given) and os.kill(os.getpid(), signal.SIGKILL))
        send_notifications(place)

    real = TimeStamps.note
    killed(serve)
    assert places_of(place)[0].held() == []
    killed(send)
    assert len(places_of(place)[0].held()) == 1
    now = Travel(datetime.now(UTC) + timedelta(minutes=11))  # what the dead one has claimed is free again
    ledger = open_ledger(place)
    monkeypatch.setattr(ledger, "now", now)
    deliver_to(ledger, places_of(place))
    assert [each.head for each in places_of(place)[0].held()][-1] == proof.verify(ledger)
    assert len(places_of(place)[0].held()) == 2
    ledger.close()


def test_a_place_that_is_away_blocks_no_deletion_and_is_told_since_when(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with authority(tmp_path / "tsa") as tsa:
        tsa.down = True
        folder = f'timestamps = "{tmp_path}/stamps"\n'
        (home / "tmu.toml").write_text(f'timestamp_url = "{tsa.url}"\ntimestamp_ca = "{tsa.root}"\n{folder}')
        place, now = Workspace.open(home), Travel()
        ledger = open_ledger(place)
        monkeypatch.setattr(ledger, "now", now)
        monkeypatch.setattr("tmu.ledger.store.utc_now", now)
        monkeypatch.setattr("tmu.steps.ledger.log_heads.open_ledger", lambda _: ledger)
        monkeypatch.setattr("tmu.ledger.place.open_ledger", lambda _: ledger)
        monkeypatch.setattr(ledger, "close", lambda: None)
        approved(ledger, "r1")
        complete(ledger, begun(ledger))
        send_notifications(place)
        assert state(ledger, "r1") is State.COMPLETED
        notes = {check.name: check for check in check_heads(place)}["time stamps of 127.0.0.1: notes"]
        assert notes.state == "warn"
        assert "since 2026-03-10 09:30 UTC (unreachable)" in notes.text
        for _ in range(40):  # far beyond the three days after which a webhook is given up
            now.on(days=1)
            send_notifications(place)
        notes = {check.name: check for check in check_heads(place)}["time stamps of 127.0.0.1: notes"]
        assert "since 2026-03-10 09:30 UTC" in notes.text
        tsa.down = False
        now.on(days=1)
        send_notifications(place)
        assert [check.state for check in check_heads(place)] == ["ok", "ok", "ok"]
        assert places_of(place)[0].held()[-1].head == proof.verify(ledger)


def test_a_place_that_cannot_be_asked_is_reported(home: Path) -> None:
    keys = 's3_access_key = "key"\ns3_secret_key = "secret"\n'
    (home / "tmu.toml").write_text(f'heads_s3 = "s3://heads"\ns3_endpoint = "http://127.0.0.1:9"\n{keys}')
    place = Workspace.open(home)
    ledger = open_ledger(place)
    put(ledger, "r1")
    assert verify_log(place, ledger).silent == ("S3 bucket heads: S3 bucket heads does not answer.",)
    result = tmu(home, "ledger", "verify")
    assert result.exit_code == 7
    assert "S3 bucket heads does not answer" in result.output
    assert "could be compared" in result.output
    result = tmu(home, "ledger", "verify", "--head", str(proof.verify(ledger)))
    assert result.exit_code == 0
    assert "did not reach S3 bucket heads" in result.output
    ledger.close()


def test_the_command_compares_and_notes(place: Workspace, ledger: Ledger) -> None:
    put(ledger, "r1")
    head = str(proof.verify(ledger))
    said = json.loads(tmu(place.root, "ledger", "verify", "--json", "--head", head).stdout)
    assert (said["entries"], said["compared"]) == (2, [])
    said = json.loads(tmu(place.root, "ledger", "verify", "--json").stdout)
    assert [(each["place"], each["seq"]) for each in said["compared"]] == [(places_of(place)[0].name, 2)]
    _cut(ledger, 1)
    assert tmu(place.root, "ledger", "verify").exit_code == 4


def test_a_webhook_gets_the_head_with_every_message(home: Path) -> None:
    with receiving() as receiver:
        (home / "tmu.toml").write_text(f'webhooks = ["{receiver.url}"]\nwebhook_secret = "{SECRET}"\n')
        place = Workspace.open(home)
        ledger = open_ledger(place)
        put(ledger, "r1")
        _verified(place, ledger)
        assert [got.message["event"] for got in receiver.got] == ["received", "log_head"]
        assert {got.message["head"] for got in receiver.got} == {str(proof.verify(ledger))}
        (check,) = check_heads(place)
        assert (check.state, check.text) == ("ok", "it has the newest head")
        ledger.close()


def test_a_statement_names_the_head_and_what_was_noted_outside(place: Workspace) -> None:
    api = Api(place.root)
    approved(api.ledger, "r1", dataset="digits")
    complete(api.ledger, begun(api.ledger, "digits"))
    send_notifications(place)
    said = api.good(Role.AUDITOR, "GET", "/requests/r1/statement")
    head = str(proof.verify(api.ledger))
    assert said["ledger"]["head"] == head
    (outside,) = said["ledger"]["outside"]
    assert (outside["place"], outside["head"]) == (places_of(place)[0].name, head)
    assert api.good(Role.AUDITOR, "GET", "/log/verification")["compared"][0]["hash"] == head.partition(":")[2]
    api.close()


def test_a_statement_has_its_head_noted(place: Workspace) -> None:
    api = Api(place.root)
    approved(api.ledger, "r1", dataset="digits")
    complete(api.ledger, begun(api.ledger, "digits"))
    api.ask("later")
    for _ in range(2):
        api.good(Role.AUDITOR, "GET", "/requests/r1/statement")
    send_notifications(place)
    held = places_of(place)[0].held()
    assert held[-1].head == proof.verify(api.ledger)
    assert len(held) == 3  # begin and end of the batch, and one statement
    api.close()


def test_a_time_stamp_authority_needs_its_roots(home: Path) -> None:
    (home / "tmu.toml").write_text('timestamp_url = "https://example.org/tsa"\n')
    with pytest.raises(ConfigError, match="timestamp_ca"):
        places_of(Workspace.open(home))


def test_a_sound_check_leaves_its_note(place: Workspace, ledger: Ledger) -> None:
    assert read_own_note(place) is None
    put(ledger, "r1", "ann")
    note_head(place, ledger)
    _verified(place, ledger)
    assert read_own_note(place).head == proof.verify(ledger)
    assert KEYS.subject("ann") not in place.state("verified.head").read_text()
