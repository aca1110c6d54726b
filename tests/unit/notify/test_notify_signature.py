"""Signatures: the receiver's own computation agrees, and every way to forge one is found."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmu.notify.signature import sign, verify_signature

SECRET, BODY, NOW = b"a shared secret", b'{"event":"approved"}', 1_800_000_000
HEADER = sign(SECRET, BODY, NOW)


def test_it_is_what_the_document_says() -> None:
    mac = hmac.new(SECRET, b"1800000000." + BODY, hashlib.sha256).hexdigest()
    assert f"t=1800000000,v1={mac}" == HEADER


@pytest.mark.parametrize("late", [-300, 0, 300])
def test_a_fresh_one_holds(late: int) -> None:
    assert verify_signature(SECRET, HEADER, BODY, NOW + late)


@pytest.mark.parametrize("late", [-301, 301, float("nan"), float("inf")])
def test_an_old_one_and_one_from_the_future_do_not(late: float) -> None:
    assert not verify_signature(SECRET, HEADER, BODY, NOW + late)


def test_another_secret_body_or_time_does_not() -> None:
    assert not verify_signature(b"another secret", HEADER, BODY, NOW)
    assert not verify_signature(SECRET, HEADER, BODY + b" ", NOW)
    assert not verify_signature(SECRET, HEADER.replace("t=1800000000", "t=1800000001"), BODY, NOW)


def test_of_several_signatures_one_that_fits_is_enough() -> None:
    old = sign(b"the secret before", BODY, NOW).partition(",")[2]
    assert verify_signature(SECRET, f"{HEADER},{old}", BODY, NOW)
    assert not verify_signature(SECRET, f"t={NOW},{old}", BODY, NOW)


@pytest.mark.parametrize(
    "header",
    [None, "", "t=", "v1=", "t=1800000000", HEADER.partition(",")[2], f"{HEADER},t=1800000001", HEADER.upper(),
     "t=１８００００００００,v1=x", "t=-1,v1=x", "t=" + "9" * 5000 + ",v1=x"],
)  # fmt: skip
def test_headers_of_another_form_are_not_signatures(header: str | None) -> None:
    assert not verify_signature(SECRET, header, BODY, NOW)


@given(st.text())
def test_no_header_raises(header: str) -> None:
    assert not verify_signature(SECRET, header, BODY, NOW)
