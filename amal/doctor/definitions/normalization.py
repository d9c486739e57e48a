"""Batch and layer normalisation, in every definition that the doctor knows."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from .definition import Arguments, Definition, Draw, Operation
from .layers import AFFINE, OUT, one, with_number, with_rows

CONSTANT = (torch.full((4, 3), 2.0, dtype=torch.float64),)
EPS = (1e-5, 1e-8, 1e-6, 1e-3, 1e-7, 1e-10, 1e-12, 0.0)


def normalised(input: Tensor, *affine: Tensor | float, dims: Sequence[int], eps: float) -> Tensor:
    """Bring dimensions to mean 0 and variance 1, then scale and shift the last."""
    centred = input - input.mean(tuple(dims), keepdim=True)
    output = centred / (centred.square().mean(tuple(dims), keepdim=True) + eps).sqrt()
    match affine:
        case [Tensor() as weight, Tensor() as bias, *_]:
            return output * weight + bias
    return output


def with_affine(draw: Draw) -> Arguments:
    """Draw an input, and a weight and a bias for each column."""
    columns = draw.size(OUT)
    return draw(draw.n, columns), draw(columns), draw(columns)


def with_eps(draw: Draw) -> Arguments:
    """Draw an input, a weight, a bias, and give eps."""
    return *with_affine(draw), 0.25


def normalisation(dims: Sequence[int]) -> tuple[Definition, ...]:
    """Return the definitions of a normalisation over some dimensions."""
    named = "each column over the batch" if 0 in dims else "each row"

    def definition(name: str, says: str, eps: float, draw: Callable[[Draw], Arguments], *roles: str) -> Definition:
        reference = partial(normalised, dims=dims, eps=eps)
        return Definition(name, f"{named}, {says}", reference, draw, roles=("input", *roles), of_batch=0 in dims)

    affine = (
        *(
            definition(f"affine-{eps:g}", f"scaled and shifted, eps {eps:g}", eps, with_affine, *AFFINE[1:])
            for eps in EPS
        ),
        definition("eps", "scaled and shifted, eps given", 0.25, with_eps, *AFFINE[1:], "eps"),
    )
    return (
        *affine,
        *map(with_rows, affine),
        *(definition(f"plain-{eps:g}", f"eps {eps:g}", eps, one) for eps in EPS),
        definition("plain-eps", "eps given", 0.25, partial(with_number, number=0.25), "eps"),
    )


OPERATIONS = (
    Operation(
        "batch_norm",
        ("batchnorm", "batchnorm1d", "bn"),
        normalisation((0,)),
        (CONSTANT,),
        "a feature that is constant",
        False,
    ),
    Operation(
        "layer_norm",
        ("layernorm", "ln"),
        normalisation((-1,)),
        (CONSTANT,),
        "examples whose features are equal",
        False,
    ),
)
