import pytest
import torch

from tests.synthetic import blobs
from tmu.audit.probes.residual import residual_knowledge
from tmu.errors import DataError

SET = blobs(24, seed=7)


def _linear(seed, scale=1.0):
    """A classifier of flat images with weights drawn from the seed."""
    weights = torch.randn(64, 3, generator=torch.Generator().manual_seed(seed)) * scale
    return lambda views: views.flatten(1) @ weights


def _always(classes):
    """A classifier that names the true class of each record, or another, whatever it is shown."""
    rows = iter(classes)
    return lambda views: torch.eye(3)[next(rows)].expand(len(views), 3)


def _probe(unlearned, retrained, rows=slice(None), **options):
    return residual_knowledge(
        unlearned, retrained, SET.images[rows], SET.labels[rows], SET.keys[rows], **{"seed": 0, "draws": 20} | options
    )


def test_equal_models_score_one_and_none_above():
    found = _probe(_linear(1), _linear(1))
    assert (found.per_record == 1).all() and found.mean == 1 and found.share_above_1 == 0


def test_against_a_slow_count_with_both_models_on_the_same_noise():
    seen = {"unlearned": [], "retrained": []}

    def watched(name, model):
        def call(views):
            seen[name].append(views)
            return model(views)

        return call

    found = _probe(watched("unlearned", _linear(1)), watched("retrained", _linear(2)), radius=0.3)
    for n in range(len(SET)):
        assert torch.equal(seen["unlearned"][n], seen["retrained"][n])
        hits = [
            sum(int(model(view[None]).argmax() == SET.labels[n]) for view in seen["unlearned"][n])
            for model in (_linear(1), _linear(2))
        ]
        assert float(found.per_record[n]) == pytest.approx((hits[0] + 1) / (hits[1] + 1))
    assert found.mean == pytest.approx(float(found.per_record.mean()))
    assert found.share_above_1 == pytest.approx(float((found.per_record > 1).double().mean()))


def test_traces_lie_above_one_and_a_record_driven_out_below():
    true, other = SET.labels.tolist(), ((SET.labels + 1) % 3).tolist()
    assert _probe(_always(true), _always(other)).mean == 21  # (20 + 1) / (0 + 1): finite though the share is 0
    assert _probe(_always(true), _always(other)).share_above_1 == 1
    assert _probe(_always(other), _always(true)).mean == pytest.approx(1 / 21)


def test_the_noise_has_the_radius_in_pixel_units_and_is_not_clamped():
    views = []
    black = torch.zeros(1, 1, 30, 30, dtype=torch.uint8)

    def watch(shown):
        views.append(shown)
        return torch.zeros(len(shown), 3)

    residual_knowledge(watch, watch, black, torch.tensor([0]), torch.tensor([1]), seed=0)
    assert views[0].shape == (100, 1, 30, 30) and views[0].dtype == torch.float32
    assert float(views[0].std()) == pytest.approx(0.03, rel=0.02) and float(views[0].mean()) == pytest.approx(
        0, abs=1e-3
    )


def test_noise_follows_the_record_and_the_seed_not_the_position():
    models = _linear(1), _linear(2)
    whole, turned = _probe(*models, radius=0.3), _probe(*models, torch.arange(23, -1, -1), radius=0.3)
    assert torch.equal(whole.per_record, turned.per_record.flip(0))
    assert torch.equal(whole.per_record[5:9], _probe(*models, slice(5, 9), radius=0.3).per_record)
    assert not torch.equal(whole.per_record, _probe(*models, radius=0.3, seed=1).per_record)


def test_an_empty_set_is_refused():
    with pytest.raises(DataError, match="no record to probe"):
        _probe(_linear(1), _linear(2), slice(0, 0))
