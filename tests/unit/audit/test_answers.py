"""A model's answers: asked once a record, the same in any company, and a fresh head that reads them."""

from pathlib import Path

import pytest
import torch

from tests.synthetic import blobs, tiny_net
from tmu.audit.answers import Answers, ask, fresh_head
from tmu.audit.probes.head_refit import head_refit
from tmu.errors import DataError
from tmu.train import Examples, logits_of

EVERYONE = blobs(150, seed=1)
FIRST, REST = EVERYONE.take(torch.arange(90)), EVERYONE.take(torch.arange(90, 150))


def test_answers_are_the_models_in_the_order_of_the_records() -> None:
    said = ask(tiny_net(0), EVERYONE)
    assert said.keys.equal(EVERYONE.keys)
    assert torch.allclose(said.logits, logits_of(tiny_net(0), EVERYONE.images), atol=1e-5)
    back = said.of(EVERYONE.keys.flip(0))
    assert back.logits.equal(said.logits.flip(0)) and back.features.equal(said.features.flip(0))


def test_only_what_is_missing_goes_through_the_model_and_nothing_twice(passed: list[int]) -> None:
    known = ask(tiny_net(0), FIRST)
    assert passed == [128]  # 90, filled up to two batches
    mixed = Examples(*(torch.cat([getattr(each, f) for each in (REST, FIRST)]) for f in ("images", "labels", "keys")))
    said = ask(tiny_net(0), mixed, known)
    assert passed == [128, 64]  # the 60 others
    assert said.keys.equal(mixed.keys)
    assert ask(tiny_net(0), FIRST, said).logits.equal(known.logits)
    assert passed == [128, 64]


def test_an_answer_has_the_same_bits_whether_it_was_kept_or_not_and_in_any_company() -> None:
    at_once = ask(tiny_net(0), EVERYONE)
    in_parts = ask(tiny_net(0), EVERYONE, ask(tiny_net(0), FIRST))
    alone = ask(tiny_net(0), EVERYONE.take(torch.tensor([7])))
    assert at_once.logits.equal(in_parts.logits) and at_once.features.equal(in_parts.features)
    assert alone.logits.equal(at_once.logits[7:8])


def test_a_fresh_head_on_answers_is_the_one_of_head_refit() -> None:
    said = ask(tiny_net(0), EVERYONE)
    head = fresh_head(said, FIRST, 50, 3)
    expected = head_refit(tiny_net(0), REST, FIRST, records=50, seed=3)
    assert torch.allclose(head.logits(said.of(REST.keys).features), expected, atol=1e-4)


def test_answers_survive_the_disk_and_damage_is_told(tmp_path: Path) -> None:
    said = ask(tiny_net(0), FIRST)
    said.save(tmp_path / "a")
    assert Answers.load(tmp_path / "a").features.equal(said.features)
    with pytest.raises(DataError, match="was not asked about all"):
        said.of(REST.keys)
    (tmp_path / "a").write_bytes(b"no tensors")
    with pytest.raises(DataError, match="damaged"):
        Answers.load(tmp_path / "a")
