"""Needles in bytes: wherever they lie, whatever lies around them."""

import numpy as np
import pytest

from tmu.search import scan
from tmu.search.needles import Needle
from tmu.search.report import By
from tmu.search.scan import Scanner

KEY = "0123456789abcdef0123456789abcdef"


NEEDLE = Needle(by=By.KEY, who=0, hex=KEY.encode().hex())


@pytest.mark.parametrize("shift", range(-40, 9))
def test_a_needle_is_found_wherever_the_pieces_of_a_large_content_meet(shift: int) -> None:
    content = bytearray(np.random.default_rng(0).integers(128, 255, scan._CHUNK + 100, dtype=np.uint8).tobytes())
    at = scan._CHUNK + shift
    content[at : at + len(KEY)] = KEY.encode()
    scanner = Scanner([NEEDLE])
    assert scanner.find(bytes(content)) == [NEEDLE]
    content[at] ^= 1
    assert scanner.find(bytes(content)) == []


@pytest.mark.parametrize("before", [0, 1, 7, 8, 9])
def test_a_needle_at_the_very_end_of_a_small_content_is_found(before: int) -> None:
    assert Scanner([NEEDLE]).find(b"\xff" * before + KEY.encode()) == [NEEDLE]
    assert Scanner([NEEDLE]).find(b"\xff" * before + KEY.encode()[:-1]) == []
    assert Scanner([NEEDLE]).find(b"") == []
