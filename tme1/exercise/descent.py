"""TME 1: gradient descent, forward and backward called by hand. Question 7 of the lab sheet.

When all is done, see the loss fall:

    python descent.py
    amal board runs
"""

from typing import Any

import torch
from torch import Tensor

from .functions import MSE, Linear


class Context:
    """Question 7a. A place to put tensors aside between forward and backward, as autograd hands to a Function.

    One is made for each call of a forward, and given to the backward that belongs to it. (If your backward asks for
    ctx.needs_input_grad, give it that too.)
    """

    def __init__(self) -> None:
        """Start with nothing put aside."""
        ### BEGIN SOLUTION
        self._saved: tuple[Tensor, ...] = ()
        ### END SOLUTION

    def save_for_backward(self, *tensors: Tensor) -> None:
        """Put the tensors aside."""
        ### BEGIN SOLUTION
        self._saved = tensors
        ### END SOLUTION

    @property
    def saved_tensors(self) -> tuple[Tensor, ...]:
        """The tensors that were put aside, in their order."""
        ### BEGIN SOLUTION
        return self._saved
        ### END SOLUTION


def gradients(X: Tensor, Y: Tensor, W: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Question 7b. The loss MSE(X W + b, Y), and its gradients by W and by b.

    Forward Linear, forward MSE, backward MSE, backward Linear: the chain rule, with `Linear.forward(context, ...)` and
    the like, each function with a Context of its own. No `apply`, no autograd.

    Args:
        X: (q, n).
        Y: (q, p).
        W: (n, p).
        b: (p,).

    Returns:
        the loss, a scalar; its gradient by W (n, p); its gradient by b (p,).
    """
    ### BEGIN SOLUTION
    of_linear, of_mse = Context(), Context()
    prediction = Linear.forward(of_linear, X, W, b)
    loss = MSE.forward(of_mse, prediction, Y)
    grad_prediction, _ = MSE.backward(of_mse, torch.ones_like(loss))
    _, grad_W, grad_b = Linear.backward(of_linear, grad_prediction)
    return loss, grad_W, grad_b
    ### END SOLUTION


def descend(
    X: Tensor, Y: Tensor, W: Tensor, b: Tensor, lr: float = 0.05, steps: int = 100
) -> tuple[list[float], Tensor, Tensor]:
    """Question 7c. Gradient descent: `steps` times, W and b go against their gradients by the learning rate (ε).

    The tensors W and b that were given stay as they are.

    Returns:
        the loss before each step (so as many as there are steps), and the last W and b.
    """
    ### BEGIN SOLUTION
    losses = []
    for _ in range(steps):
        loss, grad_W, grad_b = gradients(X, Y, W, b)
        losses.append(float(loss))
        W = W - lr * grad_W
        b = b - lr * grad_b
    return losses, W, b
    ### END SOLUTION


def main() -> None:
    """Descend on the sheet's random data, and write the loss to TensorBoard."""
    from torch.utils.tensorboard import SummaryWriter

    random: Any = {"generator": torch.Generator().manual_seed(0), "dtype": torch.float64}
    X, Y = torch.randn(50, 13, **random), torch.randn(50, 3, **random)
    losses, _, _ = descend(X, Y, torch.randn(13, 3, **random), torch.randn(3, **random))
    with SummaryWriter("runs/tme1") as writer:
        for step, loss in enumerate(losses):
            writer.add_scalar("loss", loss, step)
    print(f"loss {losses[0]:.2f} → {losses[-1]:.2f}")


if __name__ == "__main__":
    main()
