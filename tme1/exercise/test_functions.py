"""TME 1, question 6: are the two Functions right? What a message says is what was seen, not what to write.

Values are compared here; derivatives are examined by amal's doctor, as `amal check functions.py` does. It measures
slopes in float64, and looks at what `torch.autograd.gradcheck` does not, such as the exact shape of each gradient.
"""

from typing import Any

import torch
from torch import Tensor

from amal.checking import examine

from .functions import MSE, Linear


def assert_derivatives(function: Any, operation: str, definition: str | None, *inputs: Tensor) -> None:
    """Let the doctor examine a Function by one definition of an operation, or by any."""
    output = function.apply(*[input.requires_grad_() for input in inputs])
    function.backward(output.grad_fn, torch.ones_like(output))  # what is not written yet is no case for the doctor
    errors = [
        finding.message for finding in examine(function, operation, definition).findings if finding.severity == "error"
    ]
    assert not errors, " ".join(errors)


def test_6a_forward() -> None:
    """The error of a batch is a scalar, (1/q) ‖Ŷ − Y‖²."""
    found = MSE.apply(torch.tensor([[3.0, 1.0], [0.0, 0.0]]), torch.tensor([[1.0, 1.0], [0.0, 4.0]]))
    assert isinstance(found, Tensor), f"MSE.forward returns {found!r}, expected a tensor"
    assert found.shape == (), f"MSE has shape {tuple(found.shape)}: the error of a batch is one number, of shape ()"
    assert float(found) == 10, f"MSE of [[3, 1], [0, 0]] and [[1, 1], [0, 4]] is {float(found):g}: (2² + 4²) / 2 is 10"


def test_6a_derivatives() -> None:
    """Backward is the derivative of forward, wherever in a graph it stands, and changes nothing it was given."""
    assert_derivatives(MSE, "mse", None, torch.rand(4, 3), torch.rand(4, 3))


def test_6b_forward() -> None:
    """The map is X W + b."""
    X, W, b = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0], [10.0]]), torch.tensor([100.0])
    found = Linear.apply(X, W, b)
    assert isinstance(found, Tensor), f"Linear.forward returns {found!r}, expected a tensor"
    assert found.tolist() == [[121.0], [143.0]], (
        f"Linear of X = [[1, 2], [3, 4]], W = [[1], [10]], b = [100] is {found.tolist()}: expected [[121], [143]]"
    )


def test_6b_derivatives() -> None:
    """Backward is the derivative of forward, wherever in a graph it stands, and changes nothing it was given."""
    assert_derivatives(Linear, "linear", "course", torch.rand(4, 5), torch.rand(5, 3), torch.rand(3))
