"""The engine with batches that somebody else draws: it takes them as they are, and resumes among them."""

from dataclasses import replace

import pytest
import torch

from tests.synthetic import RECIPE, SEEDS, blobs, same_weights, tiny_net, weights_of
from tmu.train import fit
from tmu.train.batch import soft_cross_entropy


def _drawn(epoch: int) -> list[torch.Tensor]:
    """Five batches of different sizes; records come in several of them, some in none."""
    generator = torch.Generator().manual_seed(70 + epoch)
    return [torch.randperm(60, generator=generator)[: 6 + number] for number in range(5)]


def _watched(**given):
    seen = []

    def watch(model, batch):
        seen.append(batch)
        return soft_cross_entropy(model, batch)

    report = fit(tiny_net(), blobs(64), RECIPE, SEEDS, objective=watch, **given)
    return seen, report


def test_batches_are_taken_as_they_are_given():
    examples = blobs(64)
    seen, report = _watched(sampler=_drawn)
    wanted = [*_drawn(0), *_drawn(1)]
    assert report.steps == len(seen) == 10
    for batch, rows in zip(seen, wanted, strict=True):
        assert torch.equal(batch.rows, rows)
        assert torch.equal(batch.labels, examples.labels[rows])
        assert len(batch.views) == len(rows)
    assert [batch.done for batch in seen] == [step / 10 for step in range(10)]


def test_without_a_sampler_every_record_comes_once_an_epoch():
    seen, _ = _watched()
    for epoch in (seen[:4], seen[4:]):
        assert sorted(torch.cat([batch.rows for batch in epoch]).tolist()) == list(range(64))


def test_an_epochs_numbers_are_means_over_what_was_drawn():
    """A record that was drawn twice counts twice, one that was not counts nothing."""

    def sure(model, batch):
        """Right for the first record alone."""
        logits = torch.nn.functional.one_hot((batch.labels + (batch.rows > 0)) % 3, 3).float()
        return soft_cross_entropy(model, batch)[0], logits

    drawn = [torch.tensor([0, 1]), torch.tensor([0, 2, 3])]
    report = fit(tiny_net(), blobs(64), RECIPE, SEEDS, objective=sure, sampler=lambda epoch: drawn)
    assert [entry["accuracy_pct"] for entry in report.history] == [pytest.approx(40.0)] * 2


def test_a_batch_of_other_records_leads_to_other_weights():
    nets = [tiny_net() for _ in range(3)]
    for net, sampler in zip(nets, (_drawn, _drawn, lambda epoch: _drawn(epoch + 7)), strict=True):
        fit(net, blobs(64), RECIPE, SEEDS, sampler=sampler)
    first, again, other = map(weights_of, nets)
    assert same_weights(first, again)
    assert not same_weights(first, other)


def test_targets_of_records_that_are_never_drawn_teach_nothing():
    drawn = set(torch.cat([*_drawn(0), *_drawn(1)]).tolist())
    examples, left_out = blobs(64), sorted(set(range(64)) - drawn)
    assert left_out
    changed = examples.labels.clone()
    changed[left_out] = (changed[left_out] + 1) % 3
    nets = [tiny_net(), tiny_net()]
    for net, labels in zip(nets, (examples.labels, changed), strict=True):
        fit(net, replace(examples, labels=labels), RECIPE, SEEDS, sampler=_drawn)
    assert same_weights(*map(weights_of, nets))


class _Stop(Exception):
    pass


def _stop_at(step: int):
    def stop(done, steps, numbers):
        if done == step:
            raise _Stop

    return stop


@pytest.mark.parametrize(
    ("other", "resumed_at"),
    [
        (_drawn, 8),
        (lambda epoch: _drawn(epoch + 7), 0),
        (None, 0),
        (lambda epoch: [torch.cat(_drawn(epoch)[:2]), *_drawn(epoch)[2:]], 0),
    ],
    ids=["the same", "other records", "none", "other batches of the same records"],
)
def test_a_snapshot_is_resumed_with_its_own_sampler_alone(tmp_path, other, resumed_at):
    given = {"snapshot": tmp_path / "snapshot", "snapshot_seconds": 0}
    with pytest.raises(_Stop):
        fit(tiny_net(), blobs(64), RECIPE, SEEDS, sampler=_drawn, progress=_stop_at(8), **given)
    assert fit(tiny_net(), blobs(64), RECIPE, SEEDS, sampler=other, **given).resumed_at == resumed_at
