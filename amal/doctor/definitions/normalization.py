"""Batch and layer normalisation, in every definition that the doctor knows."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from .definition import Arguments, Definition, Draw, Operation, append
from .layers import AFFINE, INPUT, OUT, matrix, row_vectors

CONSTANT = (torch.full((4, 3), 2.0, dtype=torch.float64),)
EPS = (1e-5, 1e-8, 1e-6, 1e-3, 1e-7, 1e-10, 1e-12, 0.0)


def normalise(input: Tensor, *affine: Tensor | float, dim: int, eps: float) -> Tensor:
    """Bring a dimension to mean 0 and variance 1, then scale and shift the last."""
    difference = input - input.mean(dim, keepdim=True)
    output = difference / (difference.square().mean(dim, keepdim=True) + eps).sqrt()
    match affine:
        case [Tensor() as weight, Tensor() as bias, *_]:
            return output * weight + bias
    return output


def input_weight_bias(draw: Draw) -> Arguments:
    """Draw an input, and a weight and a bias for each column."""
    columns = draw.size(OUT)
    return draw(draw.n, columns), draw(columns), draw(columns)


def normalisations(dim: int) -> tuple[Definition, ...]:
    """Return the definitions of a normalisation over a dimension."""
    unit = "each column over the batch" if dim == 0 else "each row"

    def definition(
        name: str, says: str, eps: float, draw: Callable[[Draw], Arguments], roles: tuple[str, ...]
    ) -> Definition:
        reference = partial(normalise, dim=dim, eps=eps)
        return Definition(name, f"{unit}, {says}", reference, draw, roles, needs_batch=dim == 0)

    affine = (
        *(
            definition(f"affine-{eps:g}", f"scaled and shifted, eps {eps:g}", eps, input_weight_bias, AFFINE)
            for eps in EPS
        ),
        definition("eps", "scaled and shifted, eps given", 0.25, append(input_weight_bias, 0.25), (*AFFINE, "eps")),
    )
    return (
        *affine,
        *map(row_vectors, affine),
        *(definition(f"plain-{eps:g}", f"eps {eps:g}", eps, matrix, INPUT) for eps in EPS),
        definition("plain-eps", "eps given", 0.25, append(matrix, 0.25), (*INPUT, "eps")),
    )


BATCH_NAMES, LAYER_NAMES = ("batchnorm", "batchnorm1d", "bn"), ("layernorm", "ln")
OPERATIONS = (
    Operation("batch_norm", BATCH_NAMES, normalisations(0), (CONSTANT,), "a feature that is constant", False),
    Operation("layer_norm", LAYER_NAMES, normalisations(-1), (CONSTANT,), "examples whose features are equal", False),
)
