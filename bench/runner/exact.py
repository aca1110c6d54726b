"""Models with a ridge head: their statistics are kept beside them, and the proof that nothing is left is their sums.

A row with a recipe of its own (`train` of a suite's method) has an original and golds of its own. The one place where
the bench meets `tmu/ridge/`, besides the engine.
"""

from pathlib import Path

from bench.runner.cells import TIMES, Number
from bench.runner.engine import clock
from bench.runner.made import Forgotten, Made
from bench.runner.shop import Shop
from tmu.ridge.fit import RidgeFit, statistics_of
from tmu.ridge.solve import solve
from tmu.ridge.statistics import Statistics
from tmu.ridge.stored import NAME, read, to_bytes
from tmu.train import Fit


def keep_statistics(folder: Path, report: Fit) -> None:
    """Write what a ridge head was solved from; nothing for any other fit."""
    if isinstance(report, RidgeFit):
        (folder / NAME).write_bytes(to_bytes(report.statistics))


def kept_statistics(made: Made) -> Statistics | None:
    """What the head of a kept model was solved from; None where it was trained by SGD."""
    path = made.folder / NAME
    return read(path) if path.is_file() else None


def recomputed(shop: Shop, request: Forgotten, made: Made, gold: float) -> list[Number]:
    """The proof by recomputation: sums over all that stay against the model's own. gold: seconds of a retraining."""
    own = kept_statistics(made)
    if own is None:
        return []
    net, stays = shop.net(made).to(shop.device), shop.ground.train.take(~request.gone.to(shop.device))
    started = clock(shop.device)
    anew, ridge = statistics_of(net, stays, shop.device), shop.suite.train.ridge
    apart = own.distance(anew), solve(own, ridge).distance(solve(anew, ridge))
    seconds = clock(shop.device) - started
    return [
        ("seconds_audit", seconds, "s"),
        ("seconds_ratio_audit", seconds / gold, TIMES),
        ("seconds_retraining", gold, "s"),
        ("statistics_apart", apart[0], ""),
        ("heads_apart", apart[1], ""),
    ]
