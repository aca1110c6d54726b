"""Pictures that stay in files: the tensor's bytes whatever is asked of them, the same weights, and kill -9 besides."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_train_resume import RECIPE, SEEDS, _examples, _interrupt, digest, run, sampler

from tests.synthetic import CLASSES, blobs, same_weights, tiny_net, weights_of
from tmu.errors import DataError
from tmu.train import Examples, fit, logits_of, predict
from tmu.train.examples import join
from tmu.train.source import AHEAD, Held, Streamed, fed

PROCESS = """
import os, signal, sys
from pathlib import Path
from test_train_source import streamed
from test_train_resume import _examples, run
import torch

torch.set_num_threads(1)

def progress(step, steps, numbers):
    if step == 16:
        os.kill(os.getpid(), signal.SIGKILL)

run(streamed(_examples()), snapshot=Path(sys.argv[1]), snapshot_seconds=0, progress=progress)
"""


def streamed(examples: Examples) -> Examples:
    """The same records; their pictures lie in another order in a source."""
    order = np.random.default_rng(7).permutation(len(examples))
    source = Held(examples.images[torch.from_numpy(order)])
    return replace(examples, images=Streamed.of(source, np.argsort(order)))


class Broken(Held):
    """One picture of it cannot be read any more from the `after`-th reading of it on."""

    def __init__(self, images: torch.Tensor, row: int, after: int):
        super().__init__(images)
        self.row, self.left = row, after

    def read(self, rows: np.ndarray, out: np.ndarray) -> None:
        """See `Source`."""
        self.left -= int((rows == self.row).sum())
        if self.left < 0:
            raise DataError("Row 3 of shard 00.parquet is damaged.", "Run it again.")
        super().read(rows, out)


@pytest.mark.parametrize(
    "chosen", [3, slice(2, 9, 3), slice(None), torch.tensor([5, 5, 0]), torch.arange(20) % 2 == 0, torch.tensor([])]
)
def test_what_is_asked_of_streamed_pictures_is_what_a_tensor_gives(chosen):
    plain = blobs(20)
    files = streamed(plain).images
    chosen = chosen.long() if isinstance(chosen, torch.Tensor) and not len(chosen) else chosen
    assert torch.equal(files[chosen], plain.images[chosen])
    if not isinstance(chosen, int):
        assert torch.equal(files.take(chosen).clone(), plain.images[chosen])
    assert files.shape == plain.images.shape and len(files) == 20


def test_joining_with_a_set_in_memory_reads_neither():
    first, second = blobs(6), blobs(9, seed=1)
    for parts in ((streamed(first), second), (first, streamed(second)), (streamed(first), streamed(second))):
        both = join(*parts, CLASSES)
        assert isinstance(both.images, Streamed)
        assert torch.equal(both.images[:], torch.cat([first.images, second.images]))
        mask = torch.arange(15) % 2 == 1
        assert torch.equal(both.take(mask).images[:], torch.cat([first.images, second.images])[mask])


def test_streamed_training_ends_in_the_same_bytes():
    assert digest(*run(streamed(_examples()))) == digest(*run())
    assert digest(*run(streamed(_examples()), sampler=sampler)) == digest(*run(sampler=sampler))
    halves = [_examples().take(slice(0, 50)), streamed(_examples().take(slice(50, 100)))]
    mixed, plain = tiny_net(), tiny_net()
    fit(mixed, join(*halves, CLASSES), RECIPE, SEEDS)
    fit(plain, join(halves[0], _examples().take(slice(50, 100)), CLASSES), RECIPE, SEEDS)
    assert same_weights(weights_of(mixed), weights_of(plain))


def test_streamed_outputs_are_the_same_bytes():
    net, plain = tiny_net(), blobs(23)
    ours, theirs = (predict(net, part.images, batch_size=7) for part in (streamed(plain), plain))
    assert all(torch.equal(*both) for both in zip(ours, theirs, strict=True))
    assert torch.equal(logits_of(net, streamed(plain).images, batch_size=7), theirs[0])


def test_a_killed_streamed_run_resumes_to_the_weights_of_one_in_memory(tmp_path):
    here = Path(__file__).parent
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, [here, here.parents[2]]))}
    command = [sys.executable, "-c", PROCESS, str(tmp_path / "snapshot")]
    killed = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert killed.returncode == -9, killed.stderr
    net, report = run(streamed(_examples()), snapshot=tmp_path / "snapshot", snapshot_seconds=0)
    assert report.resumed_at == 16
    assert digest(net, report) == digest(*run())


def test_a_snapshot_of_other_pictures_is_ignored(tmp_path):
    class Stop(Exception):
        pass

    def stop(done, steps, numbers):
        if done == 16:
            raise Stop

    snapshot = tmp_path / "snapshot"
    with pytest.raises(Stop):
        run(streamed(_examples()), snapshot=snapshot, snapshot_seconds=0, progress=stop)
    others = replace(_examples(), images=_examples().images.flip(-1))
    assert run(streamed(others), snapshot=snapshot, snapshot_seconds=1e9)[1].resumed_at == 0
    _interrupt(snapshot)
    assert run(streamed(_examples()), snapshot=snapshot, snapshot_seconds=1e9)[1].resumed_at == 0


def test_a_damaged_picture_in_the_middle_of_an_epoch_stops_the_run_which_then_resumes(tmp_path):
    whole = _examples()
    broken = replace(whole, images=Streamed.of(Broken(whole.images, 42, after=1), np.arange(100)))
    with pytest.raises(DataError, match="Row 3 of shard"):
        run(broken, snapshot=tmp_path / "snapshot", snapshot_seconds=0)
    net, report = run(streamed(whole), snapshot=tmp_path / "snapshot", snapshot_seconds=0)
    assert 10 <= report.resumed_at < 20  # it was met in the second epoch of ten steps
    assert digest(net, report) == digest(*run())


def test_no_more_batches_are_read_ahead_than_said():
    asked: list[int] = []

    class Counted(Held):
        def read(self, rows: np.ndarray, out: np.ndarray) -> None:
            asked.append(len(rows))
            super().read(rows, out)

    images = Streamed.of(Counted(blobs(40).images), np.arange(40))
    batches = fed(images, torch.arange(40).split(4))
    next(batches)
    batches.close()
    assert 1 <= len(asked) <= AHEAD + 1
    assert all(size == 4 for size in asked)
