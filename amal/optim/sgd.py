r"""Stochastic gradient descent: a step against the gradient, and what momentum makes of it.

With θ the parameters, g their gradient, γ the learning rate, λ the weight decay:

    g ← g + λ θ                    the gradient of (λ/2) ‖θ‖², added
    b ← μ b + (1 − τ) g            momentum μ, dampening τ; b = g at first: the velocity remembers earlier gradients
    g ← b                          or, as Nesterov has it, g ← g + μ b: look where the velocity leads
    θ ← θ − γ g

Source: Robbins and Monro 1951; Polyak 1964; Nesterov 1983, in the form of Sutskever et al. 2013, where the learning
rate multiplies the velocity (torch's convention).
"""

from typing import Any

from torch import Tensor
from torch.optim.optimizer import ParamsT

from amal._torch import foreach

from ._optimizer import Optimizer


class SGD(Optimizer):
    """Gradient descent, with momentum and weight decay: torch.optim.SGD, by hand.

    Args:
        params: parameters, or groups of them with options of their own.
        lr: learning rate γ.
        momentum: μ, how much of the velocity a step keeps.
        dampening: τ, how much less of the gradient enters the velocity.
        weight_decay: λ.
        nesterov: whether to look ahead.
        maximize: whether to climb instead.

    Raises:
        ValueError: an option makes no sense.

    Its state_dict is torch.optim.SGD's.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, group: dict[str, Any]) -> None:
        """Raise ValueError if an option of the group makes no sense."""
        for name in ("lr", "momentum", "weight_decay"):
            self.require(group[name] >= 0, name, group[name], "0 or more")
        if group["nesterov"]:
            momentum, dampening = group["momentum"], group["dampening"]
            self.require(momentum > 0 and dampening == 0, "nesterov", True, "momentum, and no dampening, with it")

    def update(self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor]) -> None:
        """Move the parameters of a group, in place."""
        if group["weight_decay"]:
            gradients = foreach("add", gradients, parameters, alpha=group["weight_decay"])
        if group["momentum"]:
            velocities = self.velocities(group, parameters, gradients)
            if not group["nesterov"]:
                gradients = velocities
            elif group["weight_decay"]:  # a list of our own, to be changed in place
                foreach("add_", gradients, velocities, alpha=group["momentum"])
            else:
                gradients = foreach("add", gradients, velocities, alpha=group["momentum"])
        foreach("add_", parameters, gradients, alpha=-float(group["lr"]))

    def velocities(self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor]) -> list[Tensor]:
        """Return each parameter's velocity b, brought up to date."""
        states = [self.state[parameter] for parameter in parameters]
        moving = [state.get("momentum_buffer") is not None for state in states]
        buffers = [state["momentum_buffer"] for state, moves in zip(states, moving, strict=True) if moves]
        if buffers:
            foreach("mul_", buffers, group["momentum"])
            added = [gradient for gradient, moves in zip(gradients, moving, strict=True) if moves]
            foreach("add_", buffers, added, alpha=1 - group["dampening"])
        for state, gradient, moves in zip(states, gradients, moving, strict=True):
            if not moves:
                state["momentum_buffer"] = gradient.clone()
        return [state["momentum_buffer"] for state in states]
