"""The autoencoder: an image through a narrow code and back; and the wrapper that makes it denoise."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import Flatten, Sequential, Unflatten

from .highway import Highway
from .layers import ReLU, Sigmoid
from .linear import Linear, TiedLinear

Make = Callable[[], nn.Module]


class Autoencoder(nn.Module):
    """Linear layers down to a code, and as many back up to the image.

    Tied, each layer of the decoder has the weight of the encoder's, transposed: one parameter, whose gradient adds up
    from both uses. The biases are the decoder's own.

    Linear's law of initial weights looks at the size of what comes in, and through a weight that is used both ways too
    little would come back. So the linear layers' weights are drawn from Glorot's, which looks at both sizes alike:
    U(−a, a), a² = 12 / (in + out), twice his variance because about half of the units of a ReLU are silent.

    Args:
        shape: of an image: channels, height, width.
        sizes: of what each layer of the encoder gives; the last one is the code.
        code: makes the non-linearity of the code; None for none.
        output: makes the non-linearity of the image; None for none.
        hidden: makes the non-linearity of all other layers.
        tied: whether the decoder has the encoder's weights.
        highways: how many highway layers follow each hidden layer, on both sides; their weights are never shared.
        gate_bias: what each gate bias is at first.

    Shapes:
        input and output (n, *shape), code (n, sizes[-1]).

    Source: Vincent et al., Stacked Denoising Autoencoders, 2010, section 2 (tied weights); Glorot and Bengio,
    Understanding the Difficulty of Training Deep Feedforward Neural Networks, 2010 (initial weights).
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        sizes: Sequence[int],
        code: Make | None = Sigmoid,
        output: Make | None = Sigmoid,
        hidden: Make = ReLU,
        tied: bool = True,
        highways: int = 0,
        gate_bias: float = -1.0,
    ) -> None:
        super().__init__()
        pixels = shape[0] * shape[1] * shape[2]
        down = [Linear(inputs, activations) for inputs, activations in pairwise((pixels, *sizes))]
        back = [TiedLinear(layer) if tied else Linear(layer.out_features, layer.in_features) for layer in down[::-1]]
        for layer in (*down, *back):
            if isinstance(layer, Linear):
                nn.init.xavier_uniform_(layer.weight, gain=sqrt(2))

        def hidden_modules(size: int) -> list[nn.Module]:
            return [hidden(), *(Highway(size, gate_bias=gate_bias) for _ in range(highways))]

        activations = [*map(hidden_modules, sizes[:-1]), _make_modules(code)]
        self.encoder = Sequential(Flatten(), *_alternating(down, activations))
        activations = [*map(hidden_modules, sizes[-2::-1]), _make_modules(output)]
        self.decoder = Sequential(*_alternating(back, activations), Unflatten(1, shape))

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


class Denoising(nn.Module):
    """A model that is trained to undo noise: in training mode gaussian noise is added to what it is given.

    The target stays the clean image, so the model learns what an image looks like rather than to copy it. In evaluation
    mode nothing is added.

    Args:
        model: what is given the noisy images.
        sigma: standard deviation of the noise, drawn afresh at each call.

    Shapes:
        those of the model.

    Source: Vincent, Larochelle, Bengio and Manzagol, Extracting and Composing Robust Features with Denoising
    Autoencoders, 2008.
    """

    def __init__(self, model: nn.Module, sigma: float) -> None:
        super().__init__()
        self.model, self.sigma = model, sigma

    def forward(self, input: Tensor) -> Tensor:
        """Return what the model makes of the input; in training, of the input and noise."""
        output: Tensor = self.model(input + self.sigma * torch.randn_like(input) if self.training else input)
        return output

    def extra_repr(self) -> str:
        """Return what `print(model)` shows beside the model."""
        return f"sigma={self.sigma}"


def _make_modules(make: Make | None) -> list[nn.Module]:
    return [make()] if make else []


def _alternating(layers: Sequence[nn.Module], activations: Sequence[Sequence[nn.Module]]) -> list[nn.Module]:
    """Put after each layer what belongs after it."""
    return [module for layer, others in zip(layers, activations, strict=True) for module in (layer, *others)]
