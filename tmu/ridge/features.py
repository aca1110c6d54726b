"""The features of a frozen network: what its head gets, by record, whatever records are beside it.

Subtracting must take away exactly what was added. The features are computed anew from the image, and not kept by
record: a table of them would be one more thing that holds every person. So they must not depend on the batch: every
batch has the same shape (the last one is filled up with black images), runs without augmentation, in evaluation mode,
in fp32, with deterministic kernels. On one compute environment a record's features are then the same bits in every
batch and at every place in it (tested for the architectures); on another they may differ in the last ones.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from tmu.models.registry import penultimate
from tmu.train.examples import Examples
from tmu.train.lane import exact
from tmu.train.memory_format import arranged, moved

ROWS = 16
"""Images in every batch: one person's deletion should not compute many that are empty."""


@torch.no_grad()
def features_of(
    model: nn.Module, examples: Examples, device: torch.device | str = "cpu"
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of features float32 (n, F) and labels (n,), n <= `ROWS`, on the CPU; the model goes to `device`."""
    moved(model, device).eval()
    known = examples.labels.cpu()
    for start in range(0, len(examples), ROWS):
        images, labels = (part[start : start + ROWS] for part in (examples.images, known))
        views = torch.zeros(ROWS, *images.shape[1:], device=device)
        views[: len(images)] = images.to(device).float() / 255
        with exact():
            features = penultimate(model, arranged(views, model))[1]
        yield features[: len(images)].float().cpu(), labels
