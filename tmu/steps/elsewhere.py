"""What an item that came from another machine checks before it begins (docs/compute.md)."""

from pathlib import Path

from tmu.errors import ConfigError
from tmu.train.lane import pick_device, pick_precision


def refuse_elsewhere(folder: Path, asked: str, device: str, precision: str) -> None:
    """ConfigError on a machine that does not see `folder`, or would compute in another precision.

    asked: the recipe's precision. precision: as it was resolved where the item comes from, on `device`.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"A worker on another machine does not see {folder}.",
            "Keep the workspace on a file system that all nodes mount at the same path; docs/compute.md.",
        )
    here = pick_precision(asked, pick_device(device))
    if here != precision:
        raise ConfigError(
            f"A worker would train in {here}, the others in {precision}.",
            "Set `train.precision` in params.yaml to `fp32`, or use nodes of one kind.",
        )
