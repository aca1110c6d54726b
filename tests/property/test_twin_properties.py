"""What holds of margins, targets, plans and batches, whatever the sizes and however odd the numbers."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tmu.references.rows import FLOOR, ReferenceRows
from tmu.twin.margins import MarginMap, margin_of, quantiles, with_margin
from tmu.twin.reference_twin import Rate, ReferenceTwin, usual_rate
from tmu.twin.replay import PER_EPOCH, Replay

seeds = st.integers(0, 2**31)
lost = st.floats(0, 1)
margins = st.lists(st.floats(-14, 14, width=32), min_size=1, max_size=40).map(torch.tensor)
maps = st.builds(
    lambda *parts: MarginMap(quantiles(parts[0]), torch.stack([quantiles(part) for part in parts[1:]])),
    margins, margins, margins,
)  # fmt: skip


@given(maps, margins, margins, lost)
def test_mapped_margins_keep_their_order_and_lie_among_the_golds(found: MarginMap, foreseen, unseen, share) -> None:
    mapped, gold = found.quantile(foreseen, share, unseen), found.of_gold(share)
    assert torch.isfinite(mapped).all()
    assert float(mapped.min()) >= float(gold.min()) - 1e-3
    assert float(mapped.max()) <= float(gold.max()) + 1e-3
    order = foreseen.argsort(stable=True)
    assert (mapped[order].diff() >= -1e-3).all()


@given(maps, margins, margins, st.floats(0, 0.5), st.floats(0, 0.5))
def test_a_gold_lies_between_the_original_and_the_references(found: MarginMap, _a, _b, first, second) -> None:
    low, high = torch.minimum(*found.gold), torch.maximum(*found.gold)
    nearer, farther = (found.of_gold(share) for share in sorted((first, second)))
    assert ((nearer >= low - 1e-3) & (nearer <= high + 1e-3)).all()
    assert ((nearer - found.gold[0]).abs() <= (farther - found.gold[0]).abs() + 1e-3).all()


def _rows(n: int, classes: int, nets: int, seed: int) -> tuple[ReferenceRows, torch.Tensor]:
    """Rows of which every record has a network that never saw it, and an original's log-probabilities."""
    generator = torch.Generator().manual_seed(seed)
    logp = (5 * torch.randn(n, nets, classes, generator=generator)).log_softmax(2).clamp_min(FLOOR)
    seen = torch.rand(n, nets, generator=generator) < 0.5
    seen[:, 0] = False
    labels = torch.randint(0, classes, (n,), generator=generator)
    own = (20 * torch.randn(n, classes, generator=generator)).log_softmax(1)
    return ReferenceRows(torch.arange(n), labels, seen, logp), own


@settings(max_examples=60)
@given(maps, st.integers(1, 12), st.integers(2, 7), st.integers(2, 6), seeds, lost, st.floats(0, 1.5))
def test_targets_are_distributions(found: MarginMap, n, classes, nets, seed, share, lead) -> None:
    rows, own = _rows(n, classes, nets, seed)
    twin = ReferenceTwin(torch.tensor([0.3, 0.4, 0.3]), torch.tensor([-1.0]), found)
    shares = torch.full((classes + 1,), min(share, 0.99))
    shares[0] = share
    q = twin.targets(rows, own, shares, lead)
    assert q.shape == (n, classes)
    assert (q >= 0).all() and torch.isfinite(q).all()
    assert torch.allclose(q.sum(1), torch.ones(n), atol=1e-4)


@given(st.integers(0, 2**20), seeds)
def test_a_margin_put_in_comes_out(number: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    p = (8 * torch.randn(9, 2 + number % 9, generator=generator)).softmax(1)
    labels = torch.randint(0, p.shape[1], (9,), generator=generator)
    wanted = 5 * torch.randn(9, generator=generator).clamp(-2, 2)
    assert torch.allclose(margin_of(with_margin(p, labels, wanted), labels), wanted, atol=0.02)


@given(st.integers(1, 10**7), st.lists(st.tuples(st.integers(1, 10**5), st.floats(1e-4, 1), st.floats(0, 1.5)),
       min_size=1, max_size=4, unique_by=lambda each: each[0]))  # fmt: skip
def test_a_plan_is_bounded_and_its_rate_is_as_many_times_the_usual_as_was_chosen(records: int, known) -> None:
    flat = torch.zeros(400)
    rates = tuple(Rate(*each) for each in sorted(known))
    plan = ReferenceTwin(torch.zeros(3), torch.zeros(1), MarginMap(flat, torch.stack([flat, flat])), rates).plan(
        records
    )
    assert 24 <= plan.batches <= 100 and 1 <= plan.forget <= 96 and 32 <= plan.replay <= 96
    times = [rate.lr / usual_rate(rate.records, 1.0) for rate in rates]
    assert min(times) * 0.999 <= plan.lr / usual_rate(records, 1.0) <= max(times) * 1.001
    assert min(rate.lead for rate in rates) - 1e-6 <= plan.lead <= max(rate.lead for rate in rates) + 1e-6


@given(st.integers(1, 30), st.integers(0, 40), st.integers(1, 20), st.integers(1, 30), seeds)
def test_batches_are_even_and_without_repetition_of_the_replayed(
    n: int, pool: int, forget: int, replay: int, seed: int
):
    generator = torch.Generator().manual_seed(seed)
    keys = torch.randint(-(2**63), 2**63 - 1, (n + pool,), generator=generator)
    weights = 0.05 + torch.rand(pool, generator=generator)
    sampler, counts = (
        Replay(keys[:n], keys[n:], weights, forget, replay, seed),
        torch.zeros(n + pool, dtype=torch.int64),
    )
    for epoch in range(3):
        batches = sampler(epoch)
        assert len(batches) == PER_EPOCH
        for rows in batches:
            assert len(rows) == min(forget, n) + min(replay, pool)
            drawn = rows[rows >= n].tolist()
            assert len(set(drawn)) == len(drawn) == min(replay, pool)
            counts += torch.bincount(rows, minlength=n + pool)
            assert int(counts[:n].max() - counts[:n].min()) <= 1
