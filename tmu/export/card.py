"""The model card of an export, as Hugging Face's hub reads it."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from tmu.export.formats import Form
from tmu.models.bundle import Arch

CARD = "README.md"


def card(arch: Arch, forms: Sequence[Form], facts: Mapping[str, str], limits: Sequence[str]) -> bytes:
    """facts: what is known of the model, by name. limits: sentences on what it does not promise."""
    front = {
        "library_name": "pytorch",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "machine-unlearning", "tmu"],
    }
    channels, height, width = arch.shape
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=True)}---\n",
        f"# Image classifier, `{arch.name}`\n",
        _table({**facts, "classes": str(len(arch.classes)), "input": f"{channels} x {height} x {width} pixels"}),
        "## Input and output\n\nPixels as float32 (N, C, H, W) in 0..1; the network normalises them itself. Its "
        f"outputs are logits (N, {len(arch.classes)}), in the order of `id2label`; softmax gives the probabilities.\n",
        "## Use\n",
        *(f"### {form.NAME}\n\n```python\n{form.USE}\n```\n" for form in forms),
        "## Limits\n",
        "\n".join(f"- {sentence}" for sentence in limits) + "\n",
    ]
    return "\n".join(parts).encode()


def _table(facts: Mapping[str, Any]) -> str:
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    return f"| | |\n|---|---|\n{rows}\n"
