"""Ways to train the same network: the engine, a plain loop, and the loop of many unlearning papers.

Each gets decoded pictures and returns the trained model; loading and augmenting are part of its time. All shift and
flip by the same rule. The network normalises by itself, so no loop has a transform for it. The papers' loop is that of
SalUn and Sparse (`train`, `validate` and `main_train` of OPTML-Group/Unlearn-Saliency): loss and accuracy are read in
every step, and 1 record for 9 is looked at after each epoch. It is set beside the engine that looks at the same ones.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Dataset

from bench.speed.cases import Case
from tmu.config import Seeds
from tmu.train.engine import fit
from tmu.train.examples import Examples
from tmu.train.schedule import learning_rate

Loop = Callable[[Case, int], nn.Module]


def engine(case: Case, seed: int) -> nn.Module:
    """Ours."""
    return _by_engine(case, seed, None)


def engine_that_looks(case: Case, seed: int) -> nn.Module:
    """Ours, with the accuracy on held-out records after each epoch."""
    return _by_engine(case, seed, _examples(case, case.held))


def _by_engine(case: Case, seed: int, held: Examples | None) -> nn.Module:
    model = case.model(seed)
    fit(model, _examples(case, slice(case.n_train)), case.train, Seeds.all(seed), held=held)
    return model


def _examples(case: Case, rows: slice) -> Examples:
    keys = torch.arange(len(case.images)) * 0x9E3779B97F4A7C15 % (1 << 62)
    return Examples(images=case.images[rows], labels=case.labels[rows], keys=keys[rows])


def plain(case: Case, seed: int) -> nn.Module:
    """DataLoader and torchvision's transforms on tensors, fp32; the loss is read once an epoch."""
    from torchvision.transforms import v2

    reach = max(1, case.images.shape[-1] // 8)
    change = v2.Compose(
        [
            v2.RandomCrop(case.images.shape[-1], padding=reach, padding_mode="reflect"),
            v2.RandomHorizontalFlip(),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )
    return _trained(case, seed, lambda row: change(case.images[row]))


def papers(case: Case, seed: int) -> nn.Module:
    """PIL pictures transformed one by one in the training process; what is read in every step and after an epoch."""
    from torchvision.transforms import v2
    from torchvision.transforms.functional import to_pil_image

    side = case.images.shape[-1]
    pictures = [to_pil_image(image) for image in case.images[: case.held.stop]]
    change = v2.Compose(
        [
            v2.RandomCrop(side, padding=max(1, side // 8), padding_mode="reflect"),
            v2.RandomHorizontalFlip(),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )
    as_it_is = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    held = _Views(case, lambda row: as_it_is(pictures[row]), range(len(pictures))[case.held])
    return _trained(case, seed, lambda row: change(pictures[row]), held)


PLAIN, PAPERS = "plain loop", "papers' loop"
BESIDE = {PLAIN: "engine", PAPERS: "engine with hold-out"}
"""Each loop, and what it is set beside."""
LOOPS: dict[str, Loop] = {"engine": engine, PLAIN: plain, "engine with hold-out": engine_that_looks, PAPERS: papers}


class _Views(Dataset[tuple[Tensor, int]]):
    def __init__(self, case: Case, view: Callable[[int], Tensor], rows: range) -> None:
        self.case, self.view, self.rows = case, view, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        row = self.rows[number]
        return self.view(row), int(self.case.labels[row])


def _trained(case: Case, seed: int, view: Callable[[int], Tensor], held: _Views | None = None) -> nn.Module:
    """held: as the papers do it: looked at after each epoch, and loss and accuracy of every step are read."""
    model, config = case.model(seed).train(), case.train
    torch.manual_seed(seed)
    loader = DataLoader(
        _Views(case, view, range(case.n_train)), config.batch_size, shuffle=True, drop_last=True, num_workers=0
    )
    optimiser = torch.optim.SGD(
        model.parameters(), config.lr, config.momentum, weight_decay=config.weight_decay, nesterov=True
    )
    steps, losses, seen = config.epochs * len(loader), [], []
    for step, (views, labels) in enumerate(_epochs(loader, config.epochs)):
        optimiser.param_groups[0]["lr"] = learning_rate(config, step, steps)
        optimiser.zero_grad()
        logits = model(views)
        loss = cross_entropy(logits, labels)
        loss.backward()
        optimiser.step()
        losses.append(loss.detach() if held is None else loss.item())
        if held is not None:
            seen.append(_right(logits, labels))
            if (step + 1) % len(loader) == 0:
                _validated(model, held, config.batch_size)
    float(sum(losses))
    return model.eval()


def _right(logits: Tensor, labels: Tensor) -> float:
    """The share that is right, read at once."""
    return (logits.detach().topk(1).indices[:, 0] == labels).float().mean().item()


@torch.no_grad()
def _validated(model: nn.Module, held: _Views, batch_size: int) -> float:
    """The mean accuracy on held-out records, of the model in evaluation mode."""
    model.eval()
    found = [_right(model(views), labels) * len(labels) for views, labels in DataLoader(held, batch_size)]
    model.train()
    return sum(found) / max(1, len(held))


def _epochs(loader: Any, epochs: int) -> Iterator[tuple[Tensor, Tensor]]:
    for _ in range(epochs):
        yield from loader
