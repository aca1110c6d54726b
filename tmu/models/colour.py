"""What stands before a network of another library: normalisation, three channels, and one tensor of logits."""

from torch import Tensor, nn

from tmu.models.registry import Normalise

COLOURS = 3


class Colour(nn.Module):
    """Normalise, give grey images three equal channels, and drop the side heads' logits that some bodies return."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.normalise, self.body = Normalise(colours=True), body

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1 or 3, H, W) in 0..1 to logits (N, K)."""
        logits = self.body(self.normalise(x).expand(-1, COLOURS, -1, -1))
        return logits if isinstance(logits, Tensor) else logits.logits
