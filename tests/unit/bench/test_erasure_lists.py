"""The lists of the independent search: what they say, and that no folder of the scenario is in them."""

from pathlib import Path

import numpy as np

from bench.erasure.lists import write
from bench.erasure.planted import PERSON, pictures_of_digits, planted_pictures
from bench.erasure.scenario import Lists
from tmu.search.report import By, Haystack, Hit, Learned, Model, Needles, NotLookedAt, Principal, SearchReport


def _report(**more: object) -> dict:
    principal = Principal(account="a", credentials="s3_read_key", accesses=())
    made = SearchReport(
        tool="tmu", started="", finished="", workspace="w", principal=principal, needles=Needles(keys=11),
        haystacks=(Haystack(name="DVC remote", address=".", things=3, bytes=4096),), **more,
    )  # fmt: skip
    return made.as_json()


def test_both_lists(tmp_path: Path) -> None:
    hit = Hit(
        haystack="DVC remote", address=f"/home/x/remote/{'ab' * 16}", inside="column image", by=By.PIXELS, needles=10
    )
    models = (Model(weights="c" * 64, names=("models:/faces/1",), learned=Learned.YES, source="it was there"),)
    unread = (NotLookedAt(haystack="S3", address="s3://b/x", why="closed"),)
    lists = Lists("A ground", _report(hits=(hit,), models=models), _report(not_looked_at=unread))
    before, after = (page.read_text() for page in write(tmp_path, [lists], "2026-01-01"))
    assert "Outcome: **FAILED**. 1 hits, 0 declared." in before
    assert "| DVC remote | `remote/abababab…` | column image | pixels (10) |  |" in before
    assert "| cccccccc |  | **yes** | it was there | `models:/faces/1` |" in before
    assert "/home" not in before
    assert "Outcome: **UNKNOWN**. 0 hits" in after
    assert "Not looked at: s3://b/x: closed." in after


def test_the_planted_person_has_ten_pictures_that_nobody_else_has(tmp_path: Path) -> None:
    who = pictures_of_digits(tmp_path).read_text().splitlines()
    assert sum(PERSON in line for line in who) == len(list((tmp_path / "planted").iterdir())) == 10
    assert len({picture.tobytes() for picture in planted_pictures()}) == 10
    assert all(np.array_equal(*pair) for pair in zip(planted_pictures(), planted_pictures(), strict=True))
