"""What all tests share: one thread, the folder of real image sets, and one small solved unlearning problem."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.postgres_server import database, postgres  # noqa: F401 - fixtures for all

# how long an example takes says something of the machine, not of the code
settings.register_profile("tmu", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tmu")


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Small tensors gain nothing from a second thread, and tests in parallel lose by it."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real image sets: `TMU_SHARED_DATA`, or `shared/data` beside the repository; else skip."""
    folder = os.environ.get("TMU_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data"
    if not Path(folder).is_dir():
        pytest.skip("the real image sets are not here: set TMU_SHARED_DATA to their folder")
    return Path(folder)


@pytest.fixture(scope="session")
def shared_cases() -> Path:
    """The folder of small inputs that go wrong, `cases` beside the one of `shared_data`; else skip."""
    given = os.environ.get("TMU_SHARED_DATA")
    folder = (Path(given).parent if given else Path(__file__).parents[2] / "shared") / "cases"
    if not folder.is_dir():
        pytest.skip("the small inputs that go wrong are not here: set TMU_SHARED_DATA to the folder beside theirs")
    return folder


@dataclass(frozen=True)
class Solved:
    """A memorised original with its data and its twin. Shared by tests: copy a network before changing it."""

    original: object
    train: object
    holdout: object
    twin: object
    report: object


@pytest.fixture(scope="session")
def solved(one_thread: None) -> Solved:
    """An original that knows its 240 training records by heart and errs on unseen ones, and its twin problem."""
    from tests.synthetic import MEMORISE, SEEDS, TWIN, blobs, tiny_net
    from tmu.train import fit
    from tmu.twin.twin import build_twin

    train, holdout = blobs(240, seed=1), blobs(240, seed=2)
    original = tiny_net()
    fit(original, train, MEMORISE, SEEDS)

    def fresh(index: int) -> object:
        return tiny_net(100 + index)

    twin, report = build_twin(original, fresh, train, holdout, TWIN, SEEDS, fit, time.perf_counter)
    return Solved(original, train, holdout, twin, report)


@dataclass(frozen=True)
class Referred:
    """Two pairs of references of the solved world: their rows of D and hold-out, whose records they are, and a twin."""

    rows: object
    holdout_rows: object
    subjects: object
    twin: object


@pytest.fixture(scope="session")
def referred(solved: Solved) -> Referred:
    """The solved world's people have four records each; the twin has rates for 4 and for 48 records."""
    import dataclasses

    import torch

    from tests.synthetic import MEMORISE, SEEDS, referring_rows
    from tmu.train import logits_of
    from tmu.twin.reference_twin import Rate, Unseen, fit_answers

    subjects = torch.arange(240) // 4
    rows, held = referring_rows(solved.train, subjects, solved.holdout, 2, MEMORISE, SEEDS)
    own, unseen = (logits_of(solved.original, part.images).log_softmax(1) for part in (solved.train, solved.holdout))
    twin = fit_answers(rows, own, Unseen(held, unseen))
    rates = (Rate(4, 0.02, 0.2), Rate(48, 0.05, 0.5))
    return Referred(rows, held, subjects, dataclasses.replace(twin, rates=rates))
