"""TME 3, question 4: is the autoencoder the one that was asked for, and is it one weight that both layers use?"""

import torch
from torch import Tensor

from .autoencoder import TiedAutoencoder


def new_model() -> TiedAutoencoder:
    """Return an autoencoder of 6 pixels and a code of 4, with biases that are not zero."""
    torch.manual_seed(0)
    model = TiedAutoencoder(6, 4)
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    due = {"weight": (4, 6), "encoder_bias": (4,), "decoder_bias": (6,)}
    assert shapes == due, f"TiedAutoencoder(6, 4) has the parameters {shapes}, expected {due}: one weight for both ways"
    with torch.no_grad():
        model.encoder_bias.uniform_(0, 1)
        model.decoder_bias.uniform_(-1, 1)
    return model


def images() -> Tensor:
    """Return 5 pictures."""
    return torch.rand(5, 6, generator=torch.Generator().manual_seed(1))


def encoded(input: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the codes, computed by torch."""
    return torch.einsum("np,kp->nk", input, weight).add(bias).clamp(min=0)


def decoded(code: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the pictures, computed by torch."""
    return 1 / (1 + torch.exp(-(torch.einsum("nk,kp->np", code, weight) + bias)))


def assert_close(name: str, found: Tensor, due: Tensor) -> None:
    """Compare shape and values."""
    assert found.shape == due.shape, f"{name} has shape {tuple(found.shape)}, expected {tuple(due.shape)}"
    error = float((found - due).detach().abs().max())
    assert error < 1e-5, f"{name} is off by up to {error:.3g}"


def test_4_start() -> None:
    """Three parameters; the biases start at zero, the weight does not, or all codes would be dead."""
    new_model()
    model = TiedAutoencoder(6, 4)
    assert not model.encoder_bias.any(), "encoder_bias does not start at zero"
    assert not model.decoder_bias.any(), "decoder_bias does not start at zero"
    assert not bool((model.weight == model.weight[0, 0]).all()), (
        "all entries of weight start equal: all units would learn the same"
    )


def test_4_encode() -> None:
    """The code is relu(W x + b)."""
    model = new_model()
    assert_close("the code", model.encode(images()), encoded(images(), model.weight, model.encoder_bias))


def test_4_decode() -> None:
    """The picture is sigmoid(Wᵀ h + b′)."""
    model = new_model()
    code = torch.randn(5, 4, generator=torch.Generator().manual_seed(2))
    assert_close("the decoded picture", model.decode(code), decoded(code, model.weight, model.decoder_bias))


def test_4_forward() -> None:
    """Forward goes through the code and back."""
    model = new_model()
    code = encoded(images(), model.weight, model.encoder_bias)
    assert_close("the picture", model(images()), decoded(code, model.weight, model.decoder_bias))


def test_4_gradient() -> None:
    """The gradient of the weight has both its terms."""
    model, input = new_model(), images()
    ((model(input) - input) ** 2).sum().backward()
    leaves = [parameter.detach().clone().requires_grad_() for parameter in model.parameters()]
    named = dict(zip((name for name, _ in model.named_parameters()), leaves, strict=True))
    code = encoded(input, named["weight"], named["encoder_bias"])
    ((decoded(code, named["weight"], named["decoder_bias"]) - input) ** 2).sum().backward()  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, f"{name} gets no gradient"
        due = named[name].grad
        assert isinstance(due, Tensor)
        assert_close(f"the gradient of {name}", parameter.grad, due)
