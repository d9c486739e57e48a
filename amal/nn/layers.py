"""Layers that hold nothing but options: torch.nn's own, each on the hand-written operation of its name.

They are made of the operations, so that a new operation has its layer at once. A layer with parameters is written by
hand, in a file of its own. layers.pyi tells the names to type checkers, and tests/exports.py writes that.
"""

import inspect
from functools import wraps
from typing import Any

from torch import nn

from amal import functional
from amal.ops import OPERATIONS

ABBREVIATED = {"binary_cross_entropy": "BCELoss", "binary_cross_entropy_with_logits": "BCEWithLogitsLoss"}
"""Operation -> its layer, where torch.nn does not spell it as the operation."""
DEPRECATED = {"size_average", "reduce"}
"""What layers take and turn into another option."""


def torch_layer(op: str) -> type[nn.Module] | None:
    """Return torch.nn's layer of an operation, as LogSoftmax is that of log_softmax; None where there is none."""
    layers = {name.lower(): layer for name, layer in vars(nn).items() if isinstance(layer, type)}
    name = ABBREVIATED.get(op, op.replace("_", "")).lower()
    return layers.get(name) or layers.get(f"{name}loss")


def layer_on(base: type[nn.Module], op: str) -> type[nn.Module]:
    """Make torch's layer anew, to call amal's operation with the layer's options of the same names."""
    operation = getattr(functional, op)
    own_parameters = {"training", *inspect.signature(base).parameters} - DEPRECATED
    options = [name for name in inspect.signature(operation).parameters if name in own_parameters]
    constants = {"_stacklevel": 5} if "_stacklevel" in inspect.signature(operation).parameters else {}

    @wraps(base.forward)
    def forward(self: nn.Module, *inputs: Any, **named: Any) -> Any:
        return operation(*inputs, **named, **{name: getattr(self, name) for name in options}, **constants)

    forward.__module__ = __name__
    about = f"torch.nn.{base.__name__} on amal.functional.{op}.\n\n    {str(operation.__doc__).partition(chr(10))[0]}"
    return type(base.__name__, (base,), {"__module__": __name__, "__doc__": about, "forward": forward})


LAYERS = {
    base.__name__: layer_on(base, op)
    for op in OPERATIONS
    if (base := torch_layer(op)) and not hasattr(base, "reset_parameters")  # which draws parameters
}
__all__ = [*LAYERS]
globals().update(LAYERS)
