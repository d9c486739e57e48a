"""TME 1, question 6: are the two Functions right? What a message says is what was seen, not what to write."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .functions import MSE, Linear

NAMES = {MSE: ("prediction", "target"), Linear: ("X", "W", "b")}


def draw(*shape: int, seed: int = 0) -> Tensor:
    """Draw numbers in float64: in float32 a numerical derivative has hardly three right digits."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)), dtype=torch.float64)


def linear_inputs(q: int = 4) -> list[Tensor]:
    """Return X (q, 5), W (5, 3), b (3,)."""
    return [draw(q, 5), draw(5, 3), draw(3)]


def mse_inputs(q: int = 4) -> list[Tensor]:
    """Return prediction and target (q, 3)."""
    return [draw(q, 3), draw(q, 3, seed=1)]


def applied(function: Any, inputs: Sequence[Tensor]) -> Tensor:
    """Call the Function as autograd does."""
    output: Any = function.apply(*inputs)
    assert isinstance(output, Tensor), f"{function.__name__}.forward returns {output!r}, no tensor"
    return output


def returned(function: Any, inputs: Sequence[Tensor], grad_output: Tensor | None = None) -> list[Tensor]:
    """Return what backward returns: the tensors themselves, before autograd sums what is too much."""
    output = applied(function, [input.detach().requires_grad_() for input in inputs])
    grad_output = torch.ones_like(output) if grad_output is None else grad_output
    with torch.no_grad():
        found = function.backward(output.grad_fn, grad_output)  # the node of the graph is the context
    found = list(found) if isinstance(found, (tuple, list)) else [found]
    names = NAMES[function]
    assert len(found) == len(names), (
        f"{function.__name__}.backward returns {len(found)} gradients, and forward has {len(names)} inputs "
        f"({', '.join(names)}): one is due for each, in their order"
    )
    for name, gradient in zip(names, found, strict=True):
        assert isinstance(gradient, Tensor), f"{function.__name__}: the gradient by {name} is {gradient!r}, no tensor"
    return found


def slope(f: Callable[[Tensor], Tensor], at: Tensor, step: float = 1e-6) -> Tensor:
    """Return the gradient of a scalar function, measured: (f(x + h) − f(x − h)) / 2h for each entry."""
    result = torch.zeros_like(at)
    for entry in range(at.numel()):
        h = torch.zeros_like(at)
        h.view(-1)[entry] = step
        result.view(-1)[entry] = (f(at + h) - f(at - h)) / (2 * step)
    return result


def assert_measured(function: Any, inputs: list[Tensor], grad_output: Tensor) -> None:
    """Compare what backward returns with slopes that are measured."""
    gradients = returned(function, [input.clone() for input in inputs], grad_output.clone())
    for place, (name, gradient) in enumerate(zip(NAMES[function], gradients, strict=True)):

        def loss(value: Tensor, place: int = place) -> Tensor:
            return (applied(function, [*inputs[:place], value, *inputs[place + 1 :]]) * grad_output).sum()

        measured = slope(loss, inputs[place])
        assert gradient.shape == measured.shape, shapes(function, name, gradient, measured)
        error = (gradient - measured).abs()
        worst = int(error.argmax())
        assert float(error.max()) < 1e-5 * (1 + float(measured.abs().max())), (
            f"{function.__name__}: the gradient by {name} is wrong. Entry {worst} is "
            f"{gradient.reshape(-1)[worst]:.6g}, and the slope measured there is {measured.reshape(-1)[worst]:.6g}"
        )


def shapes(function: Any, name: str, gradient: Tensor, due: Tensor) -> str:
    """Say that a gradient has not the shape of its input."""
    return (
        f"{function.__name__}: the gradient by {name} has shape {tuple(gradient.shape)}, and {name} has "
        f"{tuple(due.shape)}. They must be equal; gradcheck does not see it, as autograd sums what is too much"
    )


def assert_shapes(function: Any, inputs: list[Tensor]) -> None:
    """Compare the shapes of what backward returns with those of the inputs."""
    for name, gradient, input in zip(NAMES[function], returned(function, inputs), inputs, strict=True):
        assert gradient.shape == input.shape, shapes(function, name, gradient, input)


def assert_untouched(function: Any, inputs: list[Tensor], grad_output: Tensor) -> None:
    """See that what was given is as it was."""
    given = [*inputs, grad_output]
    before = [tensor.clone() for tensor in given]
    returned(function, inputs, grad_output)
    for name, now, was in zip((*NAMES[function], "grad_output"), given, before, strict=True):
        assert now.equal(was), f"{function.__name__} changes {name} in place: it belongs to somebody else"


def test_6a_forward() -> None:
    """The error of a batch is a scalar, (1/q) ‖Ŷ − Y‖²."""
    found = applied(MSE, [torch.tensor([[3.0, 1.0], [0.0, 0.0]]), torch.tensor([[1.0, 1.0], [0.0, 4.0]])])
    assert found.shape == (), f"MSE has shape {tuple(found.shape)}: the error of a batch is one number, of shape ()"
    assert float(found) == 10, f"MSE of [[3, 1], [0, 0]] and [[1, 1], [0, 4]] is {float(found):g}: (2² + 4²) / 2 is 10"


def test_6a_shapes() -> None:
    """Each gradient has the shape of its input."""
    assert_shapes(MSE, mse_inputs())
    assert_shapes(MSE, mse_inputs(q=1))


def test_6a_derivatives() -> None:
    """The gradients are the slopes that are measured."""
    assert_measured(MSE, mse_inputs(), torch.tensor(1.0, dtype=torch.float64))


def test_6a_grad_output() -> None:
    """The gradients are right in the middle of a graph too, where grad_output is any number."""
    for grad in (-0.3, 2.5):
        assert_measured(MSE, mse_inputs(), torch.tensor(grad, dtype=torch.float64))


def test_6a_nothing_changed() -> None:
    """Neither inputs nor grad_output are changed."""
    assert_untouched(MSE, mse_inputs(), torch.tensor(2.0, dtype=torch.float64))


def test_6a_gradcheck() -> None:
    """torch's own check agrees, and autograd can use the Function."""
    inputs = [tensor.requires_grad_() for tensor in mse_inputs()]
    assert torch.autograd.gradcheck(MSE.apply, inputs, raise_exception=False), "MSE: torch's gradcheck returns False"


def test_6b_forward() -> None:
    """The map is X W + b."""
    X, W, b = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0], [10.0]]), torch.tensor([100.0])
    found = applied(Linear, [X, W, b])
    assert found.tolist() == [[121.0], [143.0]], (
        f"Linear of X = [[1, 2], [3, 4]], W = [[1], [10]], b = [100] is {found.tolist()}: expected [[121], [143]]"
    )


def test_6b_shapes() -> None:
    """Each gradient has the shape of its input."""
    assert_shapes(Linear, linear_inputs())
    assert_shapes(Linear, linear_inputs(q=1))


def test_6b_derivatives() -> None:
    """The gradients are the slopes that are measured, whatever grad_output is."""
    for grad in (torch.ones(4, 3, dtype=torch.float64), draw(4, 3, seed=2), draw(4, 3, seed=3)):
        assert_measured(Linear, linear_inputs(), grad)


def test_6b_nothing_changed() -> None:
    """Neither inputs nor grad_output are changed."""
    assert_untouched(Linear, linear_inputs(), draw(4, 3))


def test_6b_gradcheck() -> None:
    """torch's own check agrees, and autograd can use the Function."""
    inputs = [tensor.requires_grad_() for tensor in linear_inputs()]
    assert torch.autograd.gradcheck(Linear.apply, inputs, raise_exception=False), (
        "Linear: torch's gradcheck returns False"
    )
