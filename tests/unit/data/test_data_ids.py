"""One normal form of people's ids, its versions, and what makes two ids alike."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmu.data.ids import FIRST, IdRule, alike, normal_id, unseen
from tmu.data.importer import import_records
from tmu.data.info import STORE_FILE, read_info
from tmu.data.keys import DEMO_SECRET, Keys
from tmu.errors import DataError, RequestError

KEYS = Keys(DEMO_SECRET)
JOSE, JOSE_NFD = "Jos\u00e9", "Jose\u0301"


@pytest.mark.parametrize("written", [JOSE, JOSE_NFD, f" {JOSE_NFD}\t", f"{JOSE}\r\n"])
def test_ways_of_writing_one_id_give_one_key(written):
    assert KEYS.subject(written) == KEYS.subject(JOSE)


@pytest.mark.parametrize("other", ["jos\u00e9", "Jose", "Jo s\u00e9", "\uff2aos\u00e9"])
def test_what_may_be_somebody_else_keeps_a_key_of_its_own(other):
    assert KEYS.subject(other) != KEYS.subject(JOSE)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (0x200B, "zero width space"),
        (0x200D, "zero width joiner"),
        (0xFEFF, "byte order mark"),
        (0xA0, "no-break space"),
        (0x7, "control character"),
        (0xAD, "soft hyphen"),
        (0x2028, "line separator"),
        (0x3164, "hangul filler"),
        (0xFE0F, "variation selector-16"),
    ],
)
def test_a_character_that_cannot_be_seen_is_named_and_the_id_is_not(code, name):
    with pytest.raises(RequestError, match=rf"U\+{code:04X} \({name}\)") as caught:
        KEYS.subject(f"anna{chr(code)}x")
    assert "anna" not in str(caught.value)


def test_an_empty_id_is_refused():
    for empty in ("", "  ", "\t"):
        with pytest.raises(RequestError, match="empty"):
            KEYS.subject(empty)


def test_the_first_rule_takes_ids_as_they_were_taken():
    """A store that names no rule finds everybody whom it was ever given."""
    old = KEYS.under(FIRST)
    for raw in ("anna\u200b", " anna", "anna\u00a0b"):
        assert normal_id(raw, FIRST) == raw
        assert old.subject(raw) not in (old.subject("anna"), KEYS.subject("anna"))
    assert old.subject("anna") == KEYS.subject("anna")


def test_case_is_folded_where_that_is_chosen():
    folded = KEYS.under(IdRule(fold_case=True))
    assert (
        folded.subject("Zoe.Q@Example.org") == folded.subject("zoe.q@example.ORG") == KEYS.subject("zoe.q@example.org")
    )
    assert KEYS.subject("Zoe") != KEYS.subject("zoe")


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Zoe", "zoe"),
        ("roe, a", "ROE,  A"),
        ("anna", "a\u200bnna"),
        ("\uff21nna", "anna"),
        ("a\u00a0b", "a b"),
        (JOSE, JOSE_NFD),
    ],
)
def test_alike(one, two):
    assert alike(one) == alike(two)
    assert KEYS.alike(one) == KEYS.alike(two)


def test_others_are_not_alike():
    assert alike("anna") != alike("anne")
    assert KEYS.alike("anna") != KEYS.subject("anna")


@given(st.text(min_size=1, max_size=12))
def test_the_normal_form_is_one(raw):
    """Once more changes nothing, and folding case is never finer than not folding it."""
    try:
        normal = normal_id(raw, IdRule())
    except RequestError:
        return
    assert normal_id(normal, IdRule()) == normal
    assert unseen(normal) is None
    assert alike(normal) == alike(raw)
    assert normal_id(normal, IdRule(fold_case=True)) == normal_id(raw, IdRule(fold_case=True))


def real(made, n=24, name=lambda number: f"person-{number % 6}"):
    class Real(made):
        simulated = False

        def records(self):
            for number, record in enumerate(super().records()):
                yield type(record)(record.id, name(number), record.label, record.image, "train")

    return Real(n)


def test_the_rule_is_stored_with_the_dataset(make_store, made, tmp_path):
    assert read_info(make_store().path).ids is None  # simulated people: the bytes that it always had
    assert b'"ids"' not in (tmp_path / "data" / STORE_FILE).read_bytes()
    info = make_store("real", reader=real(made), fold_case=True).info
    assert info.id_rule == IdRule(fold_case=True)
    path = tmp_path / "real" / STORE_FILE
    raw = json.loads(path.read_text())
    del raw["ids"]
    path.write_text(json.dumps(raw))
    assert read_info(tmp_path / "real").id_rule == FIRST


def test_ids_alike_are_warned_of_by_place(tmp_path, made, keys):
    names = ["Zoe.Q@Example.org", "zoe.q@example.org", "p3", "P3", "p4", "p5"]
    reader = real(made, name=lambda number: names[number % 6])
    imported = import_records(reader, tmp_path / "data", keys, n_buckets=4)
    (warning,) = imported.warnings
    assert warning.startswith("2 groups of people have ids that differ only by letter case")
    assert "(Record 0, Record 1; Record 2, Record 3)" in warning
    assert "zoe" not in warning.lower()
    assert import_records(reader, tmp_path / "one", keys, n_buckets=4, fold_case=True).warnings == ()


def test_a_bad_id_is_refused_by_place(tmp_path, made, keys):
    with pytest.raises(DataError, match=r"^Record 3: .*U\+200B"):
        import_records(real(made, name=lambda number: "a\u200bb" if number == 3 else "c"), tmp_path / "data", keys)


def test_what_was_erased_under_the_first_rule_stays_erased(tmp_path, made, keys):
    """A folder's name with a blank at its end was another id then."""
    from tmu.data.erase import erase
    from tmu.data.store import RecordStore

    store = tmp_path / "data"
    import_records(real(made), store, keys, n_buckets=4)
    raw = json.loads((store / STORE_FILE).read_text())
    first = keys.under(FIRST)
    del raw["ids"]
    (store / STORE_FILE).write_text(json.dumps(raw))
    assert first.subject("person-1") == keys.subject("person-1")
    index = RecordStore.open(store).index()
    erase(store, tmp_path / "next", index.keys_at(index.find_subject(keys.subject("person-1"))))

    again = real(made, n=60, name=lambda number: "person-1" if number % 6 == 1 else f"person-{number % 6}")
    imported = import_records(again, tmp_path / "next", keys, n_buckets=4, replace=True)
    assert imported.skipped_erased == 10  # also the six new ones
    with pytest.raises(DataError, match=r"another rule of letter case.*without --fold-case"):
        import_records(again, tmp_path / "next", keys, n_buckets=4, replace=True, fold_case=True)


@pytest.mark.parametrize(
    "code",
    [0x180F, 0xE0100, 0xE01EF, 0x2065, 0x16FE4, 0x1D159, 0xFFF0, 0xE0080, 0x13440, 0xE000, 0xFE0F],
)
def test_no_character_without_a_shape_passes(code):
    """Whatever category Unicode gives it; and two ids that differ by it alone are alike."""
    raw = f"an{chr(code)}na"
    with pytest.raises(RequestError, match=f"U\\+{code:04X}"):
        normal_id(raw, IdRule())
    assert alike(raw) == alike("anna")
