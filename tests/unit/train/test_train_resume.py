"""Same inputs, same bytes: in fresh processes, after a kill -9, and never from another run's snapshot."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from tests.synthetic import CLASSES, SEEDS, blobs, same_weights, tiny_net, weights_of
from tmu.config import TrainConfig
from tmu.train import fit
from tmu.train.batch import soft_cross_entropy
from tmu.train.examples import as_probabilities

# ten steps an epoch; everything that could hold hidden state is switched on
RECIPE = TrainConfig(epochs=3, batch_size=10, lr=0.05, augment="flip_shift", label_smoothing=0.1, precision="fp32")
PROCESS = """
import os, signal, sys
from pathlib import Path
from test_train_resume import OPTIONS, digest, run
import torch

torch.set_num_threads(1)
kill_at, snapshot = int(sys.argv[1]), Path(sys.argv[2])

def progress(step, steps, numbers):
    if step == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)

print(digest(*run(snapshot=snapshot, snapshot_seconds=0, progress=progress, **OPTIONS[sys.argv[3]])))
"""


def _examples():
    examples = blobs(100)
    return replace(examples, noise=torch.full((100,), 0.05), weights=1 + torch.arange(100) / 100)


def run(examples=None, **options):
    """One run: (net, report)."""
    net = options.pop("net", None) or tiny_net()
    recipe, seeds = options.pop("recipe", RECIPE), options.pop("seeds", SEEDS)
    return net, fit(net, examples or _examples(), recipe, seeds, **options)


def digest(net, report) -> str:
    """SHA-256 over the weights' bytes and the history."""
    tensors = {name: value.contiguous() for name, value in net.state_dict().items()}
    return hashlib.sha256(save(tensors) + json.dumps(report.history, sort_keys=True).encode()).hexdigest()


def sampler(epoch: int) -> list[torch.Tensor]:
    """Ten batches an epoch of seven records each, drawn with repetition."""
    generator = torch.Generator().manual_seed(epoch)
    return list(torch.randint(0, 100, (10, 7), generator=generator))


ALL = {"optimiser": "adamw", "lr": 0.01, "ema": 0.9, "early_stop": 2, "balance": "sampling", "backbone_lr": 0.2}
OPTIONS = {
    "whole": {},
    "drawn": {"sampler": sampler},
    "all": {"recipe": RECIPE.model_copy(update=ALL | {"augment": ("crop", "randaugment")}), "held": blobs(40, seed=5)},
}


def _process(kill_at: int, snapshot: Path, how: str = "whole") -> subprocess.Popen:
    here = Path(__file__).parent
    paths = os.pathsep.join(map(str, [here, here.parents[2]]))
    command = [sys.executable, "-c", PROCESS, str(kill_at), str(snapshot), how]
    env = {**os.environ, "PYTHONPATH": paths}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


@pytest.mark.slow
def test_two_fresh_processes_end_in_the_same_bytes(tmp_path):
    both = [_process(-1, tmp_path / name) for name in ("a", "b")]
    (first, errors), (second, _) = [process.communicate(timeout=900) for process in both]
    assert len(first.strip()) == 64, errors
    assert first == second


# step 16 is inside the second epoch; step 20 is its end, where the last snapshot is one step old
@pytest.mark.parametrize(("kill_at", "resumed_at"), [(16, 16), (20, 19)])
def test_a_killed_run_resumes_to_the_same_weights_and_history(tmp_path, kill_at, resumed_at):
    snapshot = tmp_path / "snapshot"
    killed = _process(kill_at, snapshot)
    _, errors = killed.communicate(timeout=900)
    assert killed.returncode == -9, errors
    assert snapshot.exists()
    net, report = run(snapshot=snapshot, snapshot_seconds=0)
    assert report.resumed_at == resumed_at
    whole, expected = run()
    assert digest(net, report) == digest(whole, expected)
    assert report.history == expected.history
    assert not snapshot.exists()


@pytest.mark.parametrize("how", ["drawn", "all"])
def test_a_killed_run_with_options_resumes_to_the_same_weights_and_history(tmp_path, how):
    snapshot = tmp_path / "snapshot"
    killed = _process(16, snapshot, how)
    _, errors = killed.communicate(timeout=900)
    assert killed.returncode == -9, errors
    net, report = run(snapshot=snapshot, snapshot_seconds=0, **OPTIONS[how])
    assert report.resumed_at == 16
    assert digest(net, report) == digest(*run(**OPTIONS[how])) != digest(*run())


class _Stop(Exception):
    pass


def _interrupt(snapshot: Path, step: int = 16) -> None:
    """Leave a snapshot of step 16 behind."""

    def stop(done, steps, numbers):
        if done == step:
            raise _Stop

    with pytest.raises(_Stop):
        run(snapshot=snapshot, snapshot_seconds=0, progress=stop)


def _other_statistics():
    net = tiny_net()
    net[1][1].running_mean += 1
    return net


def _soft(sharpness: float):
    """Soft targets whose largest class is always the label."""
    return sharpness * as_probabilities(blobs(100).labels, CLASSES) + (1 - sharpness) / CLASSES


def _climb(model, batch):
    loss, logits = soft_cross_entropy(model, batch)
    return -loss, logits


OTHERS = {
    "seed": lambda: {"seeds": SEEDS.model_copy(update={"unlearn": 5})},
    "recipe": lambda: {"recipe": RECIPE.model_copy(update={"lr": 0.06})},
    "start": lambda: {"net": tiny_net(5)},
    "statistics": lambda: {"net": _other_statistics()},
    "images": lambda: {"examples": replace(_examples(), images=_examples().images.flip(-1))},
    "labels": lambda: {"examples": replace(_examples(), labels=_examples().labels.flip(0))},
    "keys": lambda: {"examples": replace(_examples(), keys=_examples().keys + 1)},
    "targets": lambda: {"examples": replace(_examples(), targets=_soft(0.5))},
    "weights": lambda: {"examples": replace(_examples(), weights=None)},
    "noise": lambda: {"examples": replace(_examples(), noise=None)},
    "objective": lambda: {"objective": _climb},
    "sampler": lambda: {"sampler": sampler},
}


@pytest.fixture(scope="module")
def leftover(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("interrupted") / "snapshot"
    _interrupt(path)
    return path


@pytest.fixture
def snapshot(leftover, tmp_path) -> Path:
    path = tmp_path / "snapshot"
    path.write_bytes(leftover.read_bytes())
    return path


def test_the_same_run_resumes(snapshot):
    assert run(snapshot=snapshot)[1].resumed_at == 16


@pytest.mark.parametrize("what", OTHERS)
def test_a_snapshot_of_another_run_is_ignored(snapshot, what):
    net, report = run(snapshot=snapshot, snapshot_seconds=1e9, **OTHERS[what]())
    assert report.resumed_at == 0
    assert same_weights(weights_of(net), weights_of(run(**OTHERS[what]())[0]))


def test_a_snapshot_made_with_other_threads_is_ignored(snapshot):
    """More threads sum in another order: half a run of each would be the bytes of neither."""

    def stop(done, steps, numbers):
        assert done == 8  # 20 in a run that resumes at 16
        raise _Stop

    with pytest.raises(_Stop):
        run(snapshot=snapshot, snapshot_seconds=1e9, threads=2, progress=stop)


@pytest.mark.parametrize("keep", [0, 5, 300, 2000, -1])
def test_a_truncated_snapshot_is_ignored(snapshot, keep):
    snapshot.write_bytes(snapshot.read_bytes()[:keep])
    net, report = run(snapshot=snapshot, snapshot_seconds=1e9)
    assert report.resumed_at == 0
    assert digest(net, report) == digest(*run())


def test_snapshots_keep_to_their_interval(tmp_path):
    seen = []
    path = tmp_path / "snapshot"
    run(snapshot=path, snapshot_seconds=1e9, progress=lambda *_: seen.append(path.exists()))
    assert not any(seen)
