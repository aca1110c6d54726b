"""Three ways to train the same network: the engine, a plain loop, and the loop of many unlearning papers.

Each gets decoded pictures and returns the trained model; loading and augmenting are part of its time. All shift and
flip by the same rule. The network normalises by itself, so no loop has a transform for it.
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
    model, n = case.model(seed), case.n_train
    keys = torch.arange(n) * 0x9E3779B97F4A7C15 % (1 << 62)
    examples = Examples(images=case.images[:n], labels=case.labels[:n], keys=keys)
    fit(model, examples, case.train, Seeds.all(seed))
    return model


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
    return _trained(case, seed, lambda row: change(case.images[row]), each_step=False)


def papers(case: Case, seed: int) -> nn.Module:
    """PIL pictures transformed one by one in the training process, and a loss that is read in every step."""
    from torchvision.transforms import v2
    from torchvision.transforms.functional import to_pil_image

    side = case.images.shape[-1]
    pictures = [to_pil_image(image) for image in case.images[: case.n_train]]
    change = v2.Compose(
        [
            v2.RandomCrop(side, padding=max(1, side // 8), padding_mode="reflect"),
            v2.RandomHorizontalFlip(),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )
    return _trained(case, seed, lambda row: change(pictures[row]), each_step=True)


LOOPS: dict[str, Loop] = {"engine": engine, "plain loop": plain, "papers' loop": papers}


class _Views(Dataset[tuple[Tensor, int]]):
    def __init__(self, case: Case, view: Callable[[int], Tensor]) -> None:
        self.case, self.view = case, view

    def __len__(self) -> int:
        return self.case.n_train

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self.view(row), int(self.case.labels[row])


def _trained(case: Case, seed: int, view: Callable[[int], Tensor], *, each_step: bool) -> nn.Module:
    model, config = case.model(seed).train(), case.train
    torch.manual_seed(seed)
    loader = DataLoader(_Views(case, view), config.batch_size, shuffle=True, drop_last=True, num_workers=0)
    optimiser = torch.optim.SGD(
        model.parameters(), config.lr, config.momentum, weight_decay=config.weight_decay, nesterov=True
    )
    steps, losses = config.epochs * len(loader), []
    for step, (views, labels) in enumerate(_epochs(loader, config.epochs)):
        optimiser.param_groups[0]["lr"] = learning_rate(config, step, steps)
        optimiser.zero_grad()
        loss = cross_entropy(model(views), labels)
        loss.backward()
        optimiser.step()
        losses.append(loss.item() if each_step else loss.detach())
    float(sum(losses))
    return model.eval()


def _epochs(loader: Any, epochs: int) -> Iterator[tuple[Tensor, Tensor]]:
    for _ in range(epochs):
        yield from loader
