"""Head refit: what does the body of a model still know, whatever its last layer says?

A fresh linear head is fitted on the penultimate features of retain records under the frozen body, and answers for the
forget set in the model's place. Distilling a retrained model's answers into the last layer alone satisfies every number
that is computed from outputs; with a fresh head such a model answers as the original does (the observation behind
IDI, the information difference index). Forget records never enter the fit, so what the head knows of them comes from
the body.

Fit: `tmu/train/fresh_head.py`.
Direction: UA and confidence of the refitted model → the gold's, its activation distance to refitted golds ↓.
Floor: the golds among themselves, each with a fresh head. Cost: one pass over forget set and fitted records, then
O(records x width x classes x 100). Failure mode: it sees what is linear in the last features; a trace that is not, or
lies in earlier layers, escapes. IDI's mutual information over several layers would see more, at a training a layer.
"""

import torch
from torch import Tensor, nn

from tmu.errors import DataError
from tmu.train import Examples
from tmu.train.fresh_head import fit_head, some
from tmu.train.predict import predict


def head_refit(
    model: nn.Module,
    forget: Examples,
    retain: Examples,
    *,
    records: int,
    seed: int,
    batch_size: int = 512,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Logits (N, K), float32, of the forget set under `model`'s body and a head fitted on `records` retain records.

    Which retain records: by hash of key and `seed`, so the same ones for every model. Raises DataError without any.
    """
    if not len(retain) or not len(forget):
        raise DataError("There is no kept or no forgotten record to probe.", "Both sets need at least one.")
    chosen = some(retain, records, seed, "head refit")
    logits, features = predict(model, chosen.images, batch_size=batch_size, device=device)
    head = fit_head(features, chosen.labels.cpu(), logits.shape[1])
    _, asked = predict(model, forget.images, batch_size=batch_size, device=device)
    return head.logits(asked)
