"""Deletions by `tmu-soft` over a retraining: the references, their twin, and the steps.

The original and the references are trained for fewer epochs than the protocol says. What a step costs depends on the
size of the forget set and on the network, not on how well either is trained.
"""

import copy
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from bench.gpu_speed.shop import SEED, Shop, Tell, needed
from bench.runner.lessons import pool_of, shares_lost, some_people
from bench.runner.made import Forgotten
from bench.runner.references import acquainted_with
from tmu.config import Seeds
from tmu.references.halves import learned_by
from tmu.references.network import Training, learn
from tmu.references.rows import ReferenceRows
from tmu.steps.fit_reference_twin import HELD, RECORDS
from tmu.steps.lessons import POOL
from tmu.train import Examples, logits_of
from tmu.train.order import stream
from tmu.twin.rates import TwinProblems, fit_reference_twin
from tmu.twin.reference_twin import Rate, ReferenceTwin, Unseen, fit_answers, usual_rate
from tmu.unlearn import tmu_soft
from tmu.unlearn.choose import random_choice
from tmu.unlearn.problem import Lessons, Problem

_SHARES = {"10 %": 0.1, "1 %": 0.01}
_TIMES = 2  # of each deletion; the first is not counted
SEEDS = Seeds.all(SEED)


def references(shop: Shop, tell: Tell) -> None:
    """Fit the references for a few epochs, and tell what all of the protocol's take."""
    suite, data, what = shop.sizes.suite, shop.data, "references"
    epochs, whole = min(shop.sizes.reference_epochs, suite.train.epochs), suite.train.epochs
    recipe = suite.train.model_copy(update={"epochs": epochs})
    training = Training(recipe, shop.fit, suite.references.inner, device=shop.device)
    start = stream(SEED, "references of the bench") % 2**31
    everyone = torch.ones(len(data.train), dtype=torch.bool)
    seen = learned_by(data.people["train"], everyone, suite.references.pairs, start)
    parts = [data.train, data.holdout]
    asked = Examples(*(torch.cat([getattr(each, name) for each in parts]) for name in ("images", "labels", "keys")))

    def fitted() -> list:
        halves = (data.train.take(seen[:, number].to(shop.device)) for number in range(seen.shape[1]))
        return [
            learn(shop.fresh(start + number), half, asked, Seeds.all(start + number), training)
            for number, half in enumerate(halves)
        ]

    found, seconds = shop.timed(fitted)
    shop.rows = _rows(found, seen, parts)
    trained = sum(each.report.seconds_train for each in found)
    tell(what, "networks, on halves of D", len(found), "")
    tell(what, f"epochs measured, of {whole}", epochs, "")
    tell(what, "seconds of their answers and fresh heads", seconds - trained, "s")
    every = trained * whole / epochs + seconds - trained
    tell(what, f"seconds, extrapolated to {whole} epochs", every, "s")
    if shop.retraining:
        tell(what, "over a retraining", every / shop.retraining, "x")


def twin(shop: Shop, tell: Tell) -> None:
    """Fit the references' twin: rates and leads, by trial."""
    problems = _problems(shop)
    (shop.twin, report), seconds = shop.timed(lambda: fit_reference_twin(problems))
    tell("references' twin", "trials", report["trials"]["number"], "")
    tell("references' twin", "seconds", seconds, "s")
    if shop.retraining:
        tell("references' twin", "over a retraining", seconds / shop.retraining, "x")


def deletions(shop: Shop, tell: Tell) -> None:
    """A tenth, a hundredth and a person of D, each from the original."""
    data, original = shop.data, needed(shop.original, "retraining")
    found = shop.twin or _without_trials(shop)
    people = data.people["train"]
    keys = data.train.keys.cpu()
    sets = {name: random_choice(keys, round(share * len(keys)), SEED, name) for name, share in _SHARES.items()}
    sets["one person"] = people == people[0]
    for name, mask in sets.items():
        what = f"deletion by tmu-soft, {name}"
        problem = _problem(shop, found, mask)
        for _ in range(_TIMES):
            mine = replace(problem, model=copy.deepcopy(original))
            outcome, seconds = shop.timed(lambda mine=mine: tmu_soft.unlearn(mine, tmu_soft.Options()))
        tell(what, "records", int(mask.sum()), "")
        tell(what, "batches", outcome.notes["batches"], "")
        tell(what, "seconds, without its audit", seconds, "s")
        if shop.retraining:
            whole = shop.retraining * (1 - float(mask.double().mean()))
            tell(what, "over a retraining without these records", seconds / whole, "x")
    if shop.twin is None:
        tell("deletion by tmu-soft", "by the usual rates: the twin was cut", 1, "")


def _rows(found: list, seen: Tensor, parts: list[Examples]) -> dict[str, ReferenceRows]:
    logp = torch.stack([each.logp for each in found], 1).float()
    inner = None if found[0].inner is None else torch.stack([each.inner for each in found], 1).float()
    rows, at = {}, 0
    for name, part in zip(("train", "holdout"), parts, strict=True):
        here = slice(at, at + len(part))
        knows = seen if name == "train" else torch.zeros(len(part), seen.shape[1], dtype=torch.bool)
        own = None if inner is None else inner[here]
        rows[name] = ReferenceRows(part.keys.cpu(), part.labels.cpu(), knows, logp[here], own)
        at = here.stop
    return rows


def _problems(shop: Shop) -> TwinProblems:
    """Twin problems on as many records as the product poses them on."""
    data, rows = shop.data, needed(shop.rows, "references")
    people = data.people["train"]
    some = some_people(people, RECORDS, SEEDS.unlearn)
    held = torch.arange(len(data.holdout))[:: -(-len(data.holdout) // HELD)]
    known = acquainted_with(data.people["holdout"][held], people, rows["train"].seen)
    return TwinProblems(
        copy.deepcopy(needed(shop.original, "retraining")),
        data.train.take(some.to(shop.device)),
        rows["train"].take(some),
        people[some],
        data.holdout.take(held.to(shop.device)),
        rows["holdout"].take(held),
        shop.sizes.suite.train,
        SEEDS,
        shop.fit,
        shop.device,
        None if known is None else torch.from_numpy(np.asarray(known)),
    )


def _without_trials(shop: Shop) -> ReferenceTwin:
    """The twin with the usual rate, where its trials were cut."""
    given = _problems(shop)
    own, held = (
        logits_of(given.original, part.images, device=shop.device).log_softmax(1)
        for part in (given.train, given.holdout)
    )
    found = fit_answers(given.rows, own, Unseen(given.holdout_rows, held, given.acquainted))
    return replace(found, rates=(Rate(100, usual_rate(100, given.recipe.lr), 0.0),))


def _problem(shop: Shop, found: ReferenceTwin, mask: Tensor) -> Problem:
    data, rows = shop.data, needed(shop.rows, "references")["train"]
    size = POOL * found.plan(int(mask.sum())).draws
    pool = pool_of(data.train.keys.cpu(), ~mask, SEEDS, size)
    lost = shares_lost(data.train.labels.cpu(), Forgotten(mask, mask), len(data.classes))
    return Problem(
        model=needed(shop.original, "retraining"),
        forget=data.train.take(mask.to(shop.device)),
        retain=data.train.take(pool.to(shop.device)),
        classes=len(data.classes),
        recipe=shop.sizes.suite.train,
        seeds=SEEDS,
        fit=shop.fit,
        fresh=shop.fresh,
        lessons=Lessons(rows.take(mask), rows.take(pool), found, lost),
        device=shop.device,
    )
