"""The autoencoder: an image through a narrow code and back."""

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import Flatten, Sequential, Unflatten

from .activation import ReLU, Sigmoid
from .linear import Linear, TiedLinear

Make = Callable[[], nn.Module]


class Autoencoder(nn.Module):
    """Linear layers down to a code, and as many back up to the image.

    Tied, each layer of the decoder has the weight of the encoder's, transposed: one parameter, whose gradient adds up
    from both uses. The biases are the decoder's own.

    Args:
        shape: of an image: channels, height, width.
        sizes: of what each layer of the encoder gives; the last one is the code.
        code: makes the non-linearity of the code; None for none.
        output: makes the non-linearity of the image; None for none.
        hidden: makes the non-linearity of all other layers.
        tied: whether the decoder has the encoder's weights.

    Shapes:
        input and output (n, *shape), code (n, sizes[-1]).

    Source: Vincent et al., Stacked Denoising Autoencoders, 2010, section 2 (tied weights).
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        sizes: Sequence[int],
        code: Make | None = Sigmoid,
        output: Make | None = Sigmoid,
        hidden: Make = ReLU,
        tied: bool = True,
    ) -> None:
        super().__init__()
        pixels = shape[0] * shape[1] * shape[2]
        down = [Linear(before, after) for before, after in pairwise((pixels, *sizes))]
        back = [TiedLinear(layer) if tied else Linear(layer.out_features, layer.in_features) for layer in down[::-1]]
        between: list[Make | None] = [hidden] * (len(sizes) - 1)
        self.encoder = Sequential(Flatten(), *_bent(down, [*between, code]))
        self.decoder = Sequential(*_bent(back, [*between, output]), Unflatten(1, shape))

    def encode(self, input: Tensor) -> Tensor:
        """Return the codes (n, sizes[-1]) of images (n, *shape)."""
        code: Tensor = self.encoder(input)
        return code

    def decode(self, code: Tensor) -> Tensor:
        """Return the images (n, *shape) that codes (n, sizes[-1]) stand for."""
        image: Tensor = self.decoder(code)
        return image

    def forward(self, input: Tensor) -> Tensor:
        """Return the images (n, *shape) as their codes keep them."""
        return self.decode(self.encode(input))


def _bent(layers: Sequence[nn.Module], after: Sequence[Make | None]) -> list[nn.Module]:
    """Put a non-linearity after each layer that has one."""
    found: list[nn.Module] = []
    for layer, make in zip(layers, after, strict=True):
        found += [layer, *([make()] if make else [])]
    return found
