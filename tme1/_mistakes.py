"""The mistakes that students make in TME 1, each as a Function that is wrong in that one way.

`python -m tme1.gradcheck` shows what sees them, and the tests prove that something does; `python -m tme1.bugs` trains
with two of them, to show what becomes of it.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from amal.checking import Case
from amal.ops import LinearFunction, MSEFunction

Gradients = tuple[Tensor | None, ...]


class BiasNotSummed(LinearFunction):
    """bias gradient not summed over the batch"""

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Gradients:
        """Return one bias gradient per example."""
        return *LinearFunction.backward(ctx, grad_output)[:2], grad_output


class BiasDimensionKept(LinearFunction):
    """bias gradient of shape (1, p) for a bias (p)"""

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Gradients:
        """Return a row where a vector is due."""
        return *LinearFunction.backward(ctx, grad_output)[:2], grad_output.sum(0, keepdim=True)


class SwappedOrder(LinearFunction):
    """gradients of input and weight returned in the wrong order"""

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Gradients:
        """Return the weight's gradient first."""
        grad_input, grad_weight, grad_bias = LinearFunction.backward(ctx, grad_output)
        return grad_weight, grad_input, grad_bias


class DetachedBackward(LinearFunction):
    """backward computed outside the graph: no second derivative"""

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Gradients:
        """Return gradients that are right but do not know where they come from."""
        input, weight = (tensor.detach() for tensor in ctx.saved_tensors)
        return grad_output @ weight, grad_output.mT @ input, grad_output.sum(0)


class TensorKeptOnContext(LinearFunction):
    """input kept as ctx.input, not through save_for_backward"""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None], output: Tensor) -> None:
        """Keep the input where autograd does not see it."""
        LinearFunction.setup_context(ctx, inputs, output)
        ctx.input = inputs[0]


class MissingFactor(MSEFunction):
    """derivative of the mean without its 2/n"""

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Gradients:
        """Return g d."""
        input, target = ctx.saved_tensors
        return grad_output * (input - target), grad_output * (target - input), None


class SwappedSigns(MSEFunction):
    """signs of the two gradients swapped"""

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Gradients:
        """Return the target's gradient for the input."""
        grad_input, grad_target, _ = MSEFunction.backward(ctx, grad_output)
        return grad_target, grad_input, None


class IgnoredGradOutput(MSEFunction):
    """grad_output ignored"""

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Gradients:
        """Behave as if the loss were the last function of the graph."""
        return MSEFunction.backward(ctx, torch.ones_like(grad_output))


class SquaredGradOutput(MSEFunction):
    """grad_output used twice"""

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Gradients:
        """Multiply by grad_output here and once more in the formula."""
        return MSEFunction.backward(ctx, grad_output * grad_output)


class GradOutputInPlace(MSEFunction):
    """grad_output changed in place"""

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> Gradients:
        """Scale a tensor that belongs to somebody else."""
        input, target = ctx.saved_tensors
        grad_input = grad_output.mul_(2 / input.numel()) * (input - target)
        return grad_input, -grad_input, None


def _as_case(mistake: type[Function]) -> Case:
    name = str(mistake.__doc__)
    if issubclass(mistake, LinearFunction):  # square shapes, so that an order swapped is not a shape that jars
        reference, shapes = torch.nn.functional.linear, ((4, 4), (4, 4), (4,))
        return Case(name, lambda input, weight, bias: mistake.apply(input, weight, bias), reference, shapes)
    shapes = ((5, 4), (5, 4))
    return Case(name, lambda input, target: mistake.apply(input, target, "mean"), torch.nn.functional.mse_loss, shapes)


MISTAKES: dict[str, Case] = {
    mistake.__name__: _as_case(mistake)
    for mistake in (
        BiasNotSummed,
        BiasDimensionKept,
        MissingFactor,
        SwappedSigns,
        SwappedOrder,
        IgnoredGradOutput,
        SquaredGradOutput,
        GradOutputInPlace,
        DetachedBackward,
        TensorKeptOnContext,
    )
}
"""Name of the mistake -> the case that makes it."""
