import numpy as np
import pytest

from tmu.data.keys import DEMO_SECRET, Keys, bucket_of, buckets_of, from_hex, is_ascending, key64, to_hex
from tmu.errors import ConfigError, DataError


def test_keys_are_pinned_for_ever():
    """A store outlives the code: these values may never change (HMAC-SHA256 computed independently)."""
    import hashlib
    import hmac

    keys = Keys(DEMO_SECRET)
    assert keys.record("a") == hmac.new(DEMO_SECRET, b"record\0a", hashlib.sha256).hexdigest()[:32]
    assert keys.subject("a") == hmac.new(DEMO_SECRET, b"subject\0a", hashlib.sha256).hexdigest()[:32]
    assert keys.id == hmac.new(DEMO_SECRET, b"key-id", hashlib.sha256).hexdigest()[:16]


def test_each_kind_of_key_has_its_own_domain():
    keys = Keys(DEMO_SECRET)
    assert len({keys.record("7"), keys.subject("7"), keys.lone_subject("7")}) == 3


def test_another_secret_gives_other_keys():
    one, two = Keys(b"1" * 16), Keys(b"2" * 16)
    assert one.id != two.id
    assert one.record("a") != two.record("a")


def test_short_secret_is_refused_and_secret_is_never_shown():
    with pytest.raises(ConfigError, match="15 bytes"):
        Keys(b"x" * 15)
    assert "sixteen bytes of" not in repr(Keys(b"sixteen bytes of secret"))


def test_split_fraction_is_uniform_and_depends_on_seed():
    keys = Keys(DEMO_SECRET)
    fractions = np.array([keys.split_fraction(keys.record(str(number))) for number in range(4000)])
    assert fractions.min() >= 0 and fractions.max() < 1
    assert abs(fractions.mean() - 0.5) < 0.02 and abs((fractions < 0.25).mean() - 0.25) < 0.03
    key = keys.record("a")
    assert keys.split_fraction(key) == keys.split_fraction(key, 0) != keys.split_fraction(key, 1)


def test_bucket_of_scalar_and_array_agree():
    keys = Keys(DEMO_SECRET)
    subjects = [keys.subject(str(number)) for number in range(500)]
    buckets = [bucket_of(subject, 64) for subject in subjects]
    assert buckets_of(from_hex(subjects), 64).tolist() == buckets
    assert len(set(buckets)) > 55


def test_hex_round_trip_keeps_zero_bytes():
    keys = ["00" * 16, "ff" * 15 + "00", "0100" * 8]
    assert to_hex(from_hex(keys)) == keys
    assert to_hex(np.sort(from_hex(keys))) == sorted(keys)


@pytest.mark.parametrize("bad", ["xyz", "00" * 15, "00" * 17, "0" * 31 + "g", "0" * 31 + "A", "0" * 31 + " "])
def test_malformed_key_is_named_by_position(bad):
    with pytest.raises(DataError, match="Key 1 of 2"):
        from_hex(["00" * 16, bad])


def test_key64_is_the_leading_eight_bytes():
    assert key64(from_hex(["00000000000000ff" + "11" * 8, "ff" * 16])).tolist() == [255, -1]


def test_is_ascending_is_strict():
    one, two = from_hex(["00" * 16]), from_hex(["01" * 16])
    assert is_ascending(np.concatenate([one, two]))
    assert not is_ascending(np.concatenate([one, one]))
    assert not is_ascending(np.concatenate([two, one]))


def test_two_spellings_of_a_name_are_one_person() -> None:
    keys, composed, apart = Keys(DEMO_SECRET), "Jos\u00e9", "Jose\u0301"
    assert keys.subject(composed) == keys.subject(apart) != keys.subject("Jose")
    assert keys.record(composed) == keys.record(apart)
    assert keys.lone_subject(composed) == keys.lone_subject(apart)
