"""Let torchvision's CUDA-linked wheel import beside a CPU build of torch.

Its C++ operators cannot load there, and `import torchvision` fails on the two it describes while importing.
Torch calls `declare_ops` at the end of its own import (entry-point group `torch.backends`), also in subprocesses.
The declared operators have no kernels: calling `nms` raises, everything else works.
"""

import importlib.util
from pathlib import Path

_LIBRARIES = []  # a Library's declarations live as long as the object


def declare_ops() -> None:
    """Declare `torchvision::nms` and `qnms` where the wheel is a CUDA one and torch is not."""
    import torch

    spec = importlib.util.find_spec("torchvision")
    if torch.version.cuda is not None or spec is None or spec.origin is None:
        return
    if not any((Path(spec.origin).parent.parent / "torchvision.libs").glob("libcudart*")):
        return  # a real CPU build brings its own operators
    library = torch.library.Library("torchvision", "FRAGMENT")
    for op in ("nms", "qnms"):
        library.define(f"{op}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _LIBRARIES.append(library)
