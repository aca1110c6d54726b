import pytest
import torch

from tests.synthetic import blobs
from tmu.audit.probes.residual import residual_hits

SET = blobs(24, seed=7)


def _linear(seed, scale=1.0):
    """A classifier of flat images with weights drawn from the seed."""
    weights = torch.randn(64, 3, generator=torch.Generator().manual_seed(seed)) * scale
    return lambda views: views.flatten(1) @ weights


def _always(classes):
    """A classifier that names the true class of each record, or another, whatever it is shown."""
    rows = iter(classes)
    return lambda views: torch.eye(3)[next(rows)].expand(len(views), 3)


def _probe(model, rows=slice(None), **options):
    return residual_hits(
        model, SET.images[rows], SET.labels[rows], SET.keys[rows], **{"seed": 0, "draws": 20} | options
    )


def test_against_a_slow_count_with_both_models_on_the_same_noise():
    seen = {"unlearned": [], "retrained": []}

    def watched(name, model):
        def call(views):
            seen[name].append(views)
            return model(views)

        return call

    models = {"unlearned": _linear(1), "retrained": _linear(2)}
    found = {name: _probe(watched(name, model), radius=0.3) for name, model in models.items()}
    for n in range(len(SET)):
        assert torch.equal(seen["unlearned"][n], seen["retrained"][n])
        for name, model in models.items():
            hits = sum(int(model(view[None]).argmax() == SET.labels[n]) for view in seen["unlearned"][n])
            assert found[name][n] == hits
    assert len(set(found["unlearned"].tolist())) > 2  # neither all nor none


def test_all_views_are_hits_where_the_class_is_named_and_none_where_another_is():
    true, other = SET.labels.tolist(), ((SET.labels + 1) % 3).tolist()
    assert (_probe(_always(true)) == 20).all()
    assert (_probe(_always(other)) == 0).all()


def test_the_noise_has_the_radius_in_pixel_units_and_is_not_clamped():
    views = []
    black = torch.zeros(1, 1, 30, 30, dtype=torch.uint8)

    def watch(shown):
        views.append(shown)
        return torch.zeros(len(shown), 3)

    residual_hits(watch, black, torch.tensor([0]), torch.tensor([1]), seed=0)
    assert views[0].shape == (100, 1, 30, 30) and views[0].dtype == torch.float32
    assert float(views[0].std()) == pytest.approx(0.03, rel=0.02) and float(views[0].mean()) == pytest.approx(
        0, abs=1e-3
    )


def test_noise_follows_the_record_and_the_seed_not_the_position():
    model = _linear(1)
    whole, turned = _probe(model, radius=0.3), _probe(model, torch.arange(23, -1, -1), radius=0.3)
    assert torch.equal(whole, turned.flip(0))
    assert torch.equal(whole[5:9], _probe(model, slice(5, 9), radius=0.3))
    assert not torch.equal(whole, _probe(model, radius=0.3, seed=1))
