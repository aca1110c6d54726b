"""A small synthetic world: models whose logits say which sets they have seen, so that the right verdict is known."""

from collections.abc import Callable

import numpy as np
import pytest

from tmu.audit.outputs import SETS, Outputs, Sets
from tmu.audit.probes.probed import Probed
from tmu.audit.probes.relearn import Relearned

CLASSES = 10


class World:
    """Records of which some are hard: a model that has not seen a hard record gets it wrong, as any other would."""

    def __init__(self, forget: int = 200, retain: int = 800, test: int = 400, seed: int = 0):
        rng = np.random.default_rng(seed)
        counts = dict(zip(SETS, (forget, retain, test), strict=True))
        self.sets = Sets({name: rng.integers(0, CLASSES, count) for name, count in counts.items()})
        self.hard = {name: rng.random(count) < 0.15 for name, count in counts.items()}
        self.ease = {name: rng.normal(0, 1.2, count) for name, count in counts.items()}

    def model(self, seed: int, *seen: str, noise: float = 0.4) -> Outputs:
        """A model trained on the sets named; two seeds differ as two training runs do."""
        rng = np.random.default_rng(seed)
        logits = {}
        for name, labels in self.sets.labels.items():
            rows = np.arange(len(labels))
            unseen = np.where(self.hard[name], -1.5, 4.0 + self.ease[name])
            z = rng.normal(0, noise, (len(labels), CLASSES))
            z[rows, labels] += 9.0 if name in seen else unseen
            z[rows, (labels + 1) % CLASSES] += 3.0 * (self.hard[name] & (name not in seen))
            logits[name] = z.astype(np.float32)
        return Outputs(logits)

    def probes(self, models: dict[str, Outputs]) -> dict[str, Probed]:
        """What probing such models would find, with bodies that say what the outputs say."""
        found = {}
        for name, outputs in models.items():
            logits = outputs.logits["forget"]
            right = logits.argmax(axis=1) == self.sets.labels["forget"]
            steps = int(20 * (1 - right.mean()))
            found[name] = Probed(logits, np.where(right, 14, 3), 16, Relearned(steps, censored=False))
        return found

    def models(self) -> dict[str, Outputs]:
        """The original and two independent retrains."""
        return {
            "original": self.model(1, "forget", "retain"),
            "gold": self.model(2, "retain"),
            "second gold": self.model(3, "retain"),
        }


def mixed(first: Outputs, second: Outputs, share: float) -> Outputs:
    """Logits on the way from the first model to the second."""
    return Outputs(
        {name: ((1 - share) * first.logits[name] + share * second.logits[name]).astype(np.float32) for name in SETS}
    )


def with_logits(outputs: Outputs, name: str, change: Callable[[np.ndarray], np.ndarray]) -> Outputs:
    """The same model with other logits on one set."""
    return Outputs({**outputs.logits, name: change(outputs.logits[name].copy()).astype(np.float32)})


@pytest.fixture(scope="session")
def world() -> World:
    return World()


@pytest.fixture(scope="session")
def make_world() -> type[World]:
    return World


@pytest.fixture(scope="session")
def mix() -> Callable[[Outputs, Outputs, float], Outputs]:
    return mixed


@pytest.fixture(scope="session")
def change_logits() -> Callable[..., Outputs]:
    return with_logits
