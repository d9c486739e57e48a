"""A case: one way to call one operation, beside torch's own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from amal import _torch, functional
from amal.ops import DropoutFunction, ScaledDotProductAttentionFunction
from amal.ops._public import autocast, public_op
from amal.tensors import make_strided

Tensors = tuple[Tensor | None, ...]


@dataclass(frozen=True)
class Case:
    """One row: an operation, the torch function that it must equal, and the shapes of its arguments."""

    name: str
    operation: Callable[..., Tensor]
    reference: Callable[..., Tensor]
    shapes: tuple[tuple[int, ...] | None, ...]
    """One shape per argument; None is an argument left out."""
    interval: tuple[float, float] | None = None
    """What the entries are drawn from, evenly; None: [0.5, 1.5] with a random sign."""

    @property
    def op(self) -> str:
        """The operation that the name starts with."""
        return self.name.split(",")[0]

    def inputs(
        self,
        dtype: torch.dtype = torch.float64,
        device: str = "cpu",
        requires_grad: bool = True,
        contiguous: bool = True,
        seed: int = 0,
    ) -> Tensors:
        """Draw the arguments: the same numbers for the same seed, whatever the dtype, device and layout.

        Unless the case says otherwise they are away from zero, where relative errors mean something.
        """
        generator = torch.Generator().manual_seed(seed)

        def draw(shape: tuple[int, ...]) -> Tensor:
            number = torch.rand(shape, generator=generator, dtype=torch.float64)
            if self.interval is None:
                sign = torch.randint(0, 2, shape, generator=generator) * 2 - 1
                number = (number + 0.5) * sign
            else:
                low, high = self.interval
                number = low + (high - low) * number
            tensor = number.to(device, dtype)
            return (tensor if contiguous else make_strided(tensor)).requires_grad_(requires_grad)

        return tuple(None if shape is None else draw(shape) for shape in self.shapes)


def present_tensors(inputs: Tensors) -> tuple[Tensor, ...]:
    """Return the arguments that are tensors, not left out."""
    return tuple(tensor for tensor in inputs if tensor is not None)


def match_variable(option: Any, variable: Tensor) -> Any:
    """Return a constant tensor where a variable is, numbers in its dtype; any other option as it is."""
    if not isinstance(option, Tensor):
        return option
    return option.to(variable.device, variable.dtype if option.is_floating_point() else None)


def random_like(tensor: Tensor, seed: int) -> Tensor:
    """Return normal random numbers of a tensor's shape, dtype and device, the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(tensor.shape, generator=generator, dtype=torch.float64).to(tensor)


def case(
    name: str, *shapes: tuple[int, ...] | None, interval: tuple[float, float] | None = None, **options: Any
) -> Case:
    """Make the row of the operation that `name` starts with, beside the torch function of that name.

    `options` are the arguments that are no variables: numbers, words, and constant tensors (indices, masks, weights),
    which follow the variables to their device and dtype.
    """
    operation = name.split(",")[0]
    ours, theirs = getattr(functional, operation), COMPOSED.get(operation) or getattr(torch.nn.functional, operation)

    def pass_options(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def call(*inputs: Tensor | None, **more: Tensor | None) -> Tensor:
            variable = present_tensors((*inputs, *more.values()))[0]
            constants = {key: match_variable(value, variable) for key, value in options.items()}
            return function(*inputs, **constants, **more)

        return call

    return Case(name, pass_options(ours), pass_options(theirs), shapes, interval)


def weighted_case(name: str, *shapes: tuple[int, ...], **options: Any) -> Case:
    """Make the row of a loss with a weight on each entry, its third argument (squared: no mean divides by 0)."""

    def pass_weight(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda input, target, weight: loss(input, target, weight=weight.square())

    row = case(name, *shapes, **options)
    return Case(name, pass_weight(row.operation), pass_weight(row.reference), shapes)


def keyword_case(names: tuple[str, ...], name: str, *shapes: tuple[int, ...] | None, **options: Any) -> Case:
    """Make the row of an operation whose variables are not its first arguments, but those of these names."""

    def pass_by_name(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda *inputs: function(**dict(zip(names, inputs, strict=True)))

    row = case(name, *shapes, **options)
    return Case(name, pass_by_name(row.operation), pass_by_name(row.reference), shapes)


def tied_case(name: str, *shapes: tuple[int, ...] | None) -> Case:
    """Make the row of an affine map whose weight comes transposed, as a decoder's does that is its encoder's."""

    def transpose_weight(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda input, weight, bias: function(input, weight.mT, bias)

    row = case(name, *shapes)
    return Case(name, transpose_weight(row.operation), transpose_weight(row.reference), shapes)


def composed_attention(*inputs: Any, **options: Any) -> Tensor:
    """Call torch's attention that is made of single operations; those that are one kernel have no second derivative."""
    with sdpa_kernel(SDPBackend.MATH):
        return torch.nn.functional.scaled_dot_product_attention(*inputs, **options)


def composed_norm(input: Tensor, dims: tuple[int, ...], eps: float = 1e-5) -> Tensor:
    """Bring some dimensions to mean 0 and variance 1."""
    centred = input - input.mean(dims, keepdim=True)
    return centred / (centred.square().mean(dims, keepdim=True) + eps).sqrt()


def composed_layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, **eps: float
) -> Tensor:
    """Call torch's layer_norm, or compose it inside a transform of torch.func, where torch's Hessian is wrong."""
    if not _torch.transforms_active():
        return torch.nn.functional.layer_norm(input, normalized_shape, weight, bias, **eps)
    output = composed_norm(input, tuple(range(-len(normalized_shape), 0)), **eps)
    output = output if weight is None else output * weight
    return output if bias is None else output + bias


def composed_batch_norm(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, training: bool = False, eps: float = 1e-5, **rest: Any
) -> Tensor:
    """Call torch's batch_norm, or compose it inside a transform of torch.func, where torch's Hessian is wrong."""
    if not _torch.transforms_active() or not training or not input.numel():
        return torch.nn.functional.batch_norm(input, weight=weight, bias=bias, training=training, eps=eps, **rest)
    output = composed_norm(input, (0, *range(2, input.dim())), eps).movedim(1, -1)
    output = output if weight is None else output * weight
    return (output if bias is None else output + bias).movedim(-1, 1)


@public_op
def fixed_dropout(noise: Tensor, input: Tensor) -> Tensor:
    """Drop what a given noise says."""
    output: Tensor = DropoutFunction.apply(input, noise)
    return output


@public_op
def fixed_attention(noise: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Drop those weights of attention that a given noise says."""
    query, key, value = autocast(query, key, value)  # type: ignore[assignment]
    output: Tensor = ScaledDotProductAttentionFunction.apply(query, key, value, None, noise, False, 0.5, False)
    return output


def composed_fixed_attention(noise: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Compose attention of torch's operations."""
    return torch.softmax(query @ key.mT * 0.5, -1).mul(noise) @ value


def noise_case(name: str, noise: Tensor, *shapes: tuple[int, ...]) -> Case:
    """Make the row of an operation that is random, with its randomness given."""
    ours: Callable[..., Tensor] = fixed_attention
    theirs: Callable[..., Tensor] = composed_fixed_attention
    if name == "dropout":
        ours, theirs = fixed_dropout, torch.mul

    def with_it(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda *inputs: function(match_variable(noise, inputs[0]), *inputs)

    return Case(name, with_it(ours), with_it(theirs), shapes)


def composed_highway(
    input: Tensor,
    transform_weight: Tensor,
    transform_bias: Tensor,
    gate_weight: Tensor,
    gate_bias: Tensor,
    activation: str = "relu",
) -> Tensor:
    """Compose a highway layer of torch's operations."""
    transform: Tensor = getattr(torch, activation)(torch.nn.functional.linear(input, transform_weight, transform_bias))
    gate = torch.sigmoid(torch.nn.functional.linear(input, gate_weight, gate_bias))
    return transform * gate + input.to(gate.dtype) * (1 - gate)


def probability_case(name: str, *shapes: tuple[int, ...], **options: Any) -> Case:
    """Make the row of a loss of probabilities: any numbers, squashed into (0, 1)."""

    def squash(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda input, target: loss(input.sigmoid(), target.sigmoid())

    row = case(name, *shapes, **options)
    return Case(name, squash(row.operation), squash(row.reference), shapes)


# What torch has no function for that can all that is asked, composed of those that it has.
COMPOSED: dict[str, Callable[..., Tensor]] = {
    "highway": composed_highway,
    "layer_norm": composed_layer_norm,
    "batch_norm": composed_batch_norm,
    "scaled_dot_product_attention": composed_attention,
}


def entrywise_cases(name: str, **options: Any) -> list[Case]:
    """Make the rows of an operation that treats every entry alike."""
    shapes = {name: (5, 3), f"{name}, one number": (), f"{name}, empty batch": (0, 4), f"{name}, 3-D input": (2, 3, 4)}
    return [case(row, shape, **options) for row, shape in shapes.items()]
