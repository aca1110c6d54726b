"""All probes of one model together, and the file that keeps them."""

import numpy as np
import pytest
import torch

from tests.synthetic import MEMORISE, SEEDS, blobs, same_weights, tiny_net, weights_of
from tmu.audit.probes.head_refit import head_refit
from tmu.audit.probes.probe import RESIDUAL_DRAWS, probe
from tmu.audit.probes.probed import Probed
from tmu.audit.probes.relearn import Relearned
from tmu.audit.probes.residual import residual_hits
from tmu.config import AuditConfig
from tmu.errors import DataError
from tmu.train import Examples, fit
from tmu.train.fresh_head import some

RETAIN, FORGET = blobs(160, seed=1), blobs(40, seed=2, label_noise=0.6)
CONFIG = AuditConfig(probe_records=30, relearn_steps=12)


@pytest.fixture(scope="module")
def models():
    def trained(*parts):
        joined = [torch.cat([getattr(part, name) for part in parts]) for name in ("images", "labels", "keys")]
        model = tiny_net(3)
        fit(model, Examples(*joined), MEMORISE, SEEDS)
        return model

    return {"original": trained(RETAIN, FORGET), "gold": trained(RETAIN)}


@pytest.fixture(scope="module")
def found(models):
    return {name: _probe(models, name) for name in models}


def _probe(models, name, forget=FORGET):
    return probe(models[name], models["original"], forget, RETAIN, CONFIG, 0, fit)


def test_traces_show_in_all_three(found):
    original, gold = found["original"], found["gold"]
    own, other = (probed.head_logits.argmax(axis=1) == FORGET.labels.numpy() for probed in (original, gold))
    assert own.mean() > other.mean() + 0.2
    assert original.relearned == Relearned(0, censored=False) and gold.relearned.steps > 0
    assert original.residual_hits.mean() > 1.3 * gold.residual_hits.mean()


def test_parts_are_what_the_single_probes_give(models, found):
    few = some(FORGET, 30, 0, "probed records")
    assert len(found["gold"].residual_hits) == 30 and found["gold"].residual_draws == RESIDUAL_DRAWS
    hits = residual_hits(models["gold"], few.images, few.labels, few.keys, seed=0, draws=RESIDUAL_DRAWS)
    assert np.array_equal(found["gold"].residual_hits, hits.numpy())
    logits = head_refit(models["gold"], FORGET, RETAIN, records=CONFIG.head_records, seed=0)
    assert np.array_equal(found["gold"].head_logits, logits.numpy())


def test_the_model_is_left_as_it_was_and_the_answer_repeats(models, found):
    before = weights_of(models["gold"])
    again = _probe(models, "gold")
    assert same_weights(weights_of(models["gold"]), before) and not models["gold"].training
    assert np.array_equal(again.head_logits, found["gold"].head_logits)
    assert again.relearned == found["gold"].relearned


def test_one_forget_record_gives_no_relearning_and_no_crash(models):
    alone = _probe(models, "gold", FORGET.take(torch.arange(1)))
    assert alone.relearned == Relearned(12, censored=True)
    assert len(alone.head_logits) == len(alone.residual_hits) == 1


def test_save_and_load(tmp_path, found):
    path = tmp_path / "probed.safetensors"
    found["gold"].save(path)
    back = Probed.load(path)
    assert np.array_equal(back.head_logits, found["gold"].head_logits)
    assert np.array_equal(back.residual_hits, found["gold"].residual_hits)
    assert (back.residual_draws, back.relearned) == (RESIDUAL_DRAWS, found["gold"].relearned)
    censored = Probed(back.head_logits, back.residual_hits, 16, Relearned(7, censored=True))
    censored.save(path)
    assert Probed.load(path).relearned == Relearned(7, censored=True)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DataError, match="damaged"):
        Probed.load(path)
