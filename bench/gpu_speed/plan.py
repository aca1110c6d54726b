"""The parts of the suite, the seconds that each may take, and how large each is."""

from dataclasses import dataclass

from bench.suite import Suite, load
from tmu.config import TrainConfig

SUITE = "gpu-speed"
MINUTES = 8.0  # of the whole, start and rendering included
_SPARE = 15.0  # seconds of start and rendering

# seconds of the wall; in the order in which parts run
LIMITS = {
    "data": 45.0,
    "airbench94": 35.0,
    "engine to 94 %": 60.0,
    "retraining": 75.0,
    "references": 70.0,
    "twin": 50.0,
    "deletions": 25.0,
    "224 px": 25.0,
    "profile": 15.0,
    "224 px, compiled": 60.0,
}
_PEOPLE = 1500  # simulated contributors of the 45,000 records: 30 records a person


@dataclass(frozen=True)
class Sizes:
    """How much of it.

    lengths: epochs of the engine's trainings, tried in turn until one reaches 94 %. widths: of airbench94's network.
    runs: of its recipe. reference_epochs: of each reference. side, pictures, batch_size, epochs: at 224 pixels.
    backend: of torch.compile. steps: that are profiled. most: records of each split; None: all.
    """

    suite: Suite
    most: int | None = None
    lengths: tuple[int, ...] = (10, 14, 20, 28)
    plain_epochs: float = 9.9
    widths: tuple[int, int, int] = (64, 256, 256)
    runs: int = 4
    reference_epochs: int = 8
    side: int = 224
    pictures: int = 2048
    batch_size: int = 256
    epochs: int = 8
    backend: str = "inductor"
    steps: int = 20


def sizes_of(*, toy: bool) -> Sizes:
    """SalUn's protocol as `gpu-cifar10` has it, with people; or its toy on the embedded digits."""
    suite = load("gpu-cifar10", toy=toy)
    if not toy:
        return Sizes(suite.model_copy(update={"reader": {**suite.reader, "subjects": _PEOPLE}}))
    few = {"lengths": (1,), "plain_epochs": 2, "widths": (4, 8, 8), "runs": 2, "reference_epochs": 1}
    small = {"side": 32, "pictures": 8, "batch_size": 4, "epochs": 1, "backend": "eager", "steps": 2}
    return Sizes(suite, 96, **few, **small)


def limits(minutes: float, *, toy: bool) -> dict[str, float]:
    """Seconds of each part where the whole may take so many minutes. A toy's twin is cut at once."""
    scale = 60 * minutes * (1 - _SPARE / (60 * MINUTES)) / sum(LIMITS.values())
    found = {name: scale * seconds for name, seconds in LIMITS.items()}
    return {**found, "twin": 0.2} if toy else found


def recipe_of_94(epochs: int) -> TrainConfig:
    """airbench94's recipe in the engine's terms: rates of a mean loss; no lookahead, shifts by 4 pixels.

    Its decoupled rate 11.5 and decay .0153 for 1,024 examples become 11.5 · 1024 / k and .0153 · 1024 / k by rate and
    step, with k = 1024 (1 + 1 / (1 - momentum)).
    """
    return TrainConfig(
        epochs=epochs,
        batch_size=1024,
        lr=1.5,
        momentum=0.85,
        weight_decay=1.33e-3,
        schedule="triangle",
        warmup=0.23,
        label_smoothing=0.2,
        augment="flip_shift",
    )
