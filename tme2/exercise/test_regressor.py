"""TME 2, question 3: is the network the one that was asked for, and does it learn? Each part alone."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from . import regressor


def reference(input: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """Return what two layers with tanh between them make of the input, computed by torch."""
    hidden_weight, hidden_bias, weight, bias = parameters
    hidden = torch.addmm(hidden_bias, input, hidden_weight.T).tanh()
    return torch.addmm(bias, hidden, weight.T)


def assert_network(model: nn.Module, name: str) -> None:
    """Compare parameters and answers."""
    parameters = list(model.parameters())
    found = [tuple(parameter.shape) for parameter in parameters]
    due = [(7, 5), (7,), (1, 7), (1,)]
    assert found == due, f"{name}(5, 7) has parameters of the shapes {found}, expected {due}"
    input = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    prediction = model(input)
    assert prediction.shape == (4, 1), f"the prediction for 4 rows has shape {tuple(prediction.shape)}, expected (4, 1)"
    error = float((prediction - reference(input, parameters)).detach().abs().max())
    assert error < 1e-5, f"the prediction is not that of Linear → tanh → Linear: it is off by up to {error:.3g}"
    prediction.sum().backward()
    assert all(parameter.grad is not None for parameter in parameters), "some parameter gets no gradient"


def test_3a_module() -> None:
    """The Module has the parameters of both layers, and computes what they say."""
    torch.manual_seed(0)
    model = regressor.Regressor(5, 7)
    assert_network(model, "Regressor")
    names = list(model.state_dict())
    due = ["hidden.weight", "hidden.bias", "output.weight", "output.bias"]
    assert names == due, f"the parameters are named {names}, expected {due}"


def test_3a_layers_of_amal() -> None:
    """The layers are amal's, whose derivatives are written by hand."""
    found = {name: type(layer).__module__ for name, layer in regressor.Regressor(5, 7).named_children()}
    assert all(module.startswith("amal.") for module in found.values()), f"the layers come from {found}, not from amal"


def test_3b_sequential() -> None:
    """The container computes the same as the Module."""
    torch.manual_seed(0)
    model = regressor.sequential(5, 7)
    assert isinstance(model, nn.Sequential), f"sequential returns a {type(model).__name__}, expected a Sequential"
    assert_network(model, "sequential")


def problem() -> tuple[nn.Module, Tensor, Tensor]:
    """Return a model, always the same, with input (6, 3) and target (6, 1)."""
    torch.manual_seed(0)
    return nn.Linear(3, 1), torch.randn(6, 3), torch.randn(6, 1)


def test_3c_step() -> None:
    """A step moves the parameters as the optimiser does, and the loss returned is the one before."""
    model, input, target = problem()
    twin, *_ = problem()
    due = nn.functional.mse_loss(twin(input), target)
    gradients = torch.autograd.grad(due, list(twin.parameters()))
    found = regressor.train_step(
        model, nn.functional.mse_loss, input, target, torch.optim.SGD(model.parameters(), lr=0.1)
    )
    assert isinstance(found, float), f"train_step returns a {type(found).__name__}, expected a float"
    assert abs(found - float(due.detach())) < 1e-6, "the loss returned is not the one before the step"
    for now, was, gradient in zip(model.parameters(), twin.parameters(), gradients, strict=True):
        assert torch.allclose(now - was, -0.1 * gradient, atol=1e-6), "a parameter has not moved as SGD moves it"


def test_3c_gradients_zeroed() -> None:
    """What was left in .grad before has no part in the step."""
    model, input, target = problem()
    twin, *_ = problem()
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 100.0)
    for one in (model, twin):
        optimizer = torch.optim.SGD(one.parameters(), lr=0.1)
        for _ in range(2):
            regressor.train_step(one, nn.functional.mse_loss, input, target, optimizer)
            if one is twin:
                optimizer.zero_grad()
    same = all(torch.allclose(a, b, atol=1e-6) for a, b in zip(model.parameters(), twin.parameters(), strict=True))
    assert same, "gradients of an earlier step are added to those of this one"
