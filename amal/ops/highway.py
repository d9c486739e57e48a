r"""Highway layer: a gate decides, entry by entry, how much of a layer's result to take and how much of its input.

    A = x Wᵀ + b          H = f(A)          the transform, f one of relu, tanh, sigmoid
    S = x Vᵀ + c          Z = σ(S)          the gate
    y = H Z + x (1 − Z)                     products entry by entry

Shapes: x, A, H, S, Z, y (n, d); W, V (d, d); b, c (d). Leading dimensions of an input count as n rows. A small ᵀ is a
transpose; the paper, which writes no transpose, calls the gate T.

Let g = ∂L/∂y. Three roads lead from x to y: through H, through Z, and the carry that goes straight:

    C = g (1 − Z)                           what the carry gets
    α = ∂L/∂A = g Z f'(A)                   as f' is known from H: sign H, 1 − H², H (1 − H)
    ζ = ∂L/∂S = g (H − x) Z (1 − Z) = C Z (H − x)
    ∂L/∂x = C + α W + ζ V
    ∂L/∂W = αᵀ x          ∂L/∂b = Σ_i α_i
    ∂L/∂V = ζᵀ x          ∂L/∂c = Σ_i ζ_i

    ẏ = ẋ (1 − Z) + Ḣ Z + (H − x) Ż         Ḣ = f' Ȧ, Ż = Z (1 − Z) Ṡ, Ȧ = ẋ Wᵀ + x Ẇᵀ + ḃ, Ṡ likewise

Composed of single operations the layer keeps x, H, Z and 1 − Z. Here x and Z are kept and H is computed again: half the
memory for one matrix product in seven. Z is an output of the Function, or second derivatives would not know whence it
came; if another asked for its gradient, that would enter ζ as ∂L/∂Z Z (1 − Z).

Source: Srivastava, Greff and Schmidhuber, Highway Networks, 2015; TME 3, question 7.
"""

from typing import Any

import torch
from torch import Tensor

from ._function import Function
from ._public import at_least_float32, autocast, cast, check_tensors, public_op

ACTIVATIONS = ("relu", "tanh", "sigmoid")


class HighwayFunction(Function):
    """y = H Z + x (1 − Z), and Z, for input (n, d)."""

    @staticmethod
    def forward(
        input: Tensor,
        transform_weight: Tensor,
        transform_bias: Tensor,
        gate_weight: Tensor,
        gate_bias: Tensor,
        activation: str,
    ) -> tuple[Tensor, Tensor]:
        transform = _transform(input, transform_weight, transform_bias, activation)
        gate = torch.addmm(gate_bias, input, gate_weight.mT).sigmoid_()
        return torch.lerp(input, transform, gate), gate

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        *tensors, _, ctx.activation = inputs
        saved = (*tensors, output[1])  # all but the gate's bias, which no derivative needs
        ctx.save_for_backward(*saved)

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor | None, grad_gate: Tensor | None) -> tuple[Tensor | None, ...]:
        x, transform_weight, transform_bias, gate_weight, Z = ctx.saved_tensors
        needs = ctx.needs_input_grad
        g = at_least_float32(torch.zeros_like(x) if grad_output is None else grad_output)
        H, Z = at_least_float32(_transform(x, transform_weight, transform_bias, ctx.activation)), at_least_float32(Z)
        via_gate = g * Z
        carry = g - via_gate
        zeta = (carry * (H - x)).mul_(Z)
        if grad_gate is not None:
            zeta = zeta + grad_gate * Z * (1 - Z)
        alpha = _times_slope(via_gate, H, ctx.activation)
        carry, alpha, zeta = (cast(entries, x.dtype) for entries in (carry, alpha, zeta))
        return (
            torch.addmm(torch.addmm(carry, alpha, transform_weight), zeta, gate_weight) if needs[0] else None,
            alpha.mT @ x if needs[1] else None,
            alpha.sum(0) if needs[2] else None,
            zeta.mT @ x if needs[3] else None,
            zeta.sum(0) if needs[4] else None,
            None,
        )

    @staticmethod
    def jvp(ctx: Any, *dots: Tensor | None) -> tuple[Tensor, Tensor]:
        x, transform_weight, transform_bias, gate_weight, Z = ctx.saved_tensors
        variables = (x, transform_weight, transform_bias, gate_weight, transform_bias)
        tangents = [torch.zeros_like(v) if dot is None else dot for v, dot in zip(variables, dots, strict=False)]
        x_dot, transform_weight_dot, transform_bias_dot, gate_weight_dot, gate_bias_dot = tangents
        H = _transform(x, transform_weight, transform_bias, ctx.activation)
        A_dot = x_dot @ transform_weight.mT + x @ transform_weight_dot.mT + transform_bias_dot
        S_dot = x_dot @ gate_weight.mT + x @ gate_weight_dot.mT + gate_bias_dot
        H_dot, Z_dot = _times_slope(A_dot, H, ctx.activation), S_dot * Z * (1 - Z)
        return x_dot * (1 - Z) + H_dot * Z + (H - x) * Z_dot, Z_dot


@public_op
def highway(
    input: Tensor,
    transform_weight: Tensor,
    transform_bias: Tensor,
    gate_weight: Tensor,
    gate_bias: Tensor,
    activation: str = "relu",
) -> Tensor:
    """Apply a highway layer: y = H Z + input (1 − Z), H = f(linear(input)), Z = sigmoid(another linear(input)).

    Args:
        input: (*, d), floating point; * is any number of dimensions, none included.
        transform_weight, transform_bias: (d, d) and (d), of the transform H.
        gate_weight, gate_bias: (d, d) and (d), of the gate Z; a negative bias lets most of the input pass at first.
        activation: f, one of 'relu', 'tanh', 'sigmoid'.

    Returns:
        (*, d).

    Raises:
        ValueError: the shapes do not fit, the tensors lie on different devices, or the activation is unknown.
        TypeError: not a tensor, not floating point, or different dtypes.
    """
    tensors: dict[str, Any] = {
        "input": input,
        "transform_weight": transform_weight,
        "transform_bias": transform_bias,
        "gate_weight": gate_weight,
        "gate_bias": gate_bias,
    }
    tensors = dict(zip(tensors, autocast(*tensors.values()), strict=True))
    check_tensors("highway", **tensors)
    input, *parameters = tensors.values()
    if activation not in ACTIVATIONS:
        raise ValueError(f"highway: activation is {activation!r}, expected one of {', '.join(map(repr, ACTIVATIONS))}")
    if input.dim() == 0:
        raise ValueError("highway: input is (), expected (*, d)")
    d = input.shape[-1]
    for (name, tensor), expected in zip(list(tensors.items())[1:], ((d, d), (d,), (d, d), (d,)), strict=True):
        if tensor.shape != expected:
            shapes = f"input is {tuple(input.shape)} but {name} {tuple(tensor.shape)}"
            raise ValueError(f"highway: {shapes}, expected {expected}")
    rows = input if input.dim() == 2 else input.reshape(input.shape[:-1].numel(), d)
    output, _ = HighwayFunction.apply(rows, *parameters, activation)
    return output if input.dim() == 2 else output.reshape(input.shape)


def _transform(x: Tensor, weight: Tensor, bias: Tensor, activation: str) -> Tensor:
    A = torch.addmm(bias, x, weight.mT)
    return A.relu_() if activation == "relu" else A.tanh_() if activation == "tanh" else A.sigmoid_()


def _times_slope(vector: Tensor, H: Tensor, activation: str) -> Tensor:
    """v f'(A), from H = f(A)."""
    if activation == "relu":
        return vector * H.sign()
    product = vector * H
    return torch.addcmul(vector if activation == "tanh" else product, product, H, value=-1)
