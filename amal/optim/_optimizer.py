"""What the optimisers share: their step's frame, and words for a wrong argument."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer as TorchOptimizer
from torch.optim.optimizer import ParamsT

from amal._torch import foreach


class Optimizer(TorchOptimizer):
    """An optimiser whose `update` says what becomes of the parameters of a group that have a gradient.

    Args:
        params: parameters, or groups of them with options of their own.
        defaults: the options of a group that names none.
    """

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with options of their own.

        Raises:
            ValueError: an option makes no sense.
        """
        super().add_param_group(param_group)
        try:
            self.check(self.param_groups[-1])
        except ValueError:
            self.param_groups.pop()
            raise

    def check(self, group: dict[str, Any]) -> None:
        """Raise ValueError if an option of the group makes no sense."""
        raise NotImplementedError

    def update(self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor]) -> None:
        """Move the parameters of a group, in place."""
        raise NotImplementedError

    @torch.no_grad()  # the update is no part of the function that is differentiated
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move every parameter that has a gradient.

        Args:
            closure: computes the loss anew, with its gradients; its value is returned.

        Raises:
            RuntimeError: a gradient is sparse or complex.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not parameters:
                continue
            gradients = [parameter.grad for parameter in parameters]
            for gradient in gradients:
                if gradient.is_sparse or gradient.is_complex():
                    kind = "sparse" if gradient.is_sparse else "complex"
                    raise RuntimeError(f"{type(self).__name__}: a gradient is {kind}, expected a dense real one")
            if group["maximize"]:
                gradients = foreach("neg", gradients)
            self.update(group, parameters, gradients)
        return loss

    def counted_state(self, parameter: Tensor, *names: str) -> dict[str, Any]:
        """Return how many steps a parameter took, and its running means of these names, 0 before the first step."""
        state: dict[str, Any] = self.state[parameter]
        if not state:
            state["step"] = 0
            for name in names:
                state[name] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for entry in self.state.values():
            if "step" in entry:
                entry["step"] = int(entry["step"])  # torch keeps a tensor

    def require(self, holds: bool, name: str, value: object, expected: str) -> None:
        """Raise ValueError, in words, unless an option is as expected."""
        if not holds:
            raise ValueError(f"{type(self).__name__}: {name} is {value}, expected {expected}")
