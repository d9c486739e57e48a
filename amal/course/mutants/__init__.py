"""Mutants for teachers: each operation's solution as a student writes it, and the changes that make it wrong.

A solution is the text of a Function in the course's form, `forward(ctx, ...)`, and in its convention. A mutant is one
visible change in that text. `amal mutants` lists them, and `amal grade` says which of them a test file kills.
"""

from difflib import ndiff

from amal.doctor.definitions import find_operation
from amal.errors import did_you_mean

from . import _activations, _affine, _convolution, _losses, _normalization, _pooling, _softmax
from ._mutant import Mutant as Mutant
from ._mutant import mutant as mutant

SOLUTIONS: dict[str, str] = {
    "linear": _affine.LINEAR,
    "mse": _losses.MSE,
    "tanh": _activations.TANH,
    "sigmoid": _activations.SIGMOID,
    "relu": _activations.RELU,
    "leaky_relu": _activations.LEAKY_RELU,
    "softmax": _softmax.SOFTMAX,
    "log_softmax": _softmax.LOG_SOFTMAX,
    "cross_entropy": _softmax.CROSS_ENTROPY,
    "nll": _softmax.NLL,
    "bce": _losses.BCE,
    "bce_with_logits": _losses.BCE_WITH_LOGITS,
    "conv1d": _convolution.CONV1D,
    "conv2d": _convolution.CONV2D,
    "max_pool": _pooling.MAX_POOL,
    "avg_pool": _pooling.AVG_POOL,
    "highway": _affine.HIGHWAY,
    "batch_norm": _normalization.BATCH_NORM,
    "layer_norm": _normalization.LAYER_NORM,
}
"""Operation -> the text of a right Function."""

MUTANTS: dict[str, tuple[Mutant, ...]] = {
    "linear": _affine.LINEAR_MUTANTS,
    "mse": _losses.MSE_MUTANTS,
    "tanh": _activations.TANH_MUTANTS,
    "sigmoid": _activations.SIGMOID_MUTANTS,
    "relu": _activations.RELU_MUTANTS,
    "leaky_relu": _activations.LEAKY_RELU_MUTANTS,
    "softmax": _softmax.SOFTMAX_MUTANTS,
    "log_softmax": _softmax.LOG_SOFTMAX_MUTANTS,
    "cross_entropy": _softmax.CROSS_ENTROPY_MUTANTS,
    "nll": _softmax.NLL_MUTANTS,
    "bce": _losses.BCE_MUTANTS,
    "bce_with_logits": _losses.BCE_WITH_LOGITS_MUTANTS,
    "conv1d": _convolution.CONV1D_MUTANTS,
    "conv2d": _convolution.CONV2D_MUTANTS,
    "max_pool": _pooling.MAX_POOL_MUTANTS,
    "avg_pool": _pooling.AVG_POOL_MUTANTS,
    "highway": _affine.HIGHWAY_MUTANTS,
    "batch_norm": _normalization.BATCH_NORM_MUTANTS,
    "layer_norm": _normalization.LAYER_NORM_MUTANTS,
}
"""Operation -> its wrong variants."""

OF_SIGNALS = {"max_pool1d": "max_pool", "avg_pool1d": "avg_pool"}


def operation_of(name: str) -> str | None:
    """Return the operation that the name of a class or of an operation means, None if there are no mutants of it."""
    known = find_operation(name)
    operation = OF_SIGNALS.get(known.name, known.name) if known else None
    return operation if operation in SOLUTIONS else None


def class_of(text: str) -> str:
    """Return the name of the class that a solution's text defines."""
    return text.split("\nclass ", 1)[1].split("(", 1)[0]


def class_name(operation: str) -> str:
    """Return the name of the class that an operation's solution defines."""
    return class_of(SOLUTIONS[operation])


def find(operation: str, name: str) -> Mutant:
    """Return a mutant by its name.

    Raises:
        ValueError: there is none of that name.
    """
    for known in MUTANTS[operation]:
        if known.name == name:
            return known
    names = [of.name for of in MUTANTS[operation]]
    raise ValueError(f"{operation} has no mutant {name}{did_you_mean(name, names)}; it has {', '.join(names)}")


def text_of(operation: str, mutant: Mutant) -> str:
    """Return the text of a wrong Function."""
    return mutant.of(SOLUTIONS[operation])


def difference(operation: str, mutant: Mutant) -> str:
    """Return the text of a wrong Function beside the right one: lines marked - are the right ones, + the wrong ones."""
    right, wrong = SOLUTIONS[operation].splitlines(), text_of(operation, mutant).splitlines()
    return "\n".join(line.rstrip() for line in ndiff(right, wrong) if not line.startswith("?"))
