"""The doctor on what public packages write: kinds of Functions that were met there, in this project's own words."""

import pytest
import torch
from torch.autograd import Function

from amal.checking import check

X = torch.linspace(-1.4, 1.7, 12, dtype=torch.float64).reshape(4, 3)


def errors(diagnosis):
    return {finding.code for finding in diagnosis.findings if finding.severity == "error"}


def power(kept):
    """Return x² and x³ by a number or a tensor, with something kept on ctx: a function of the input and the number."""

    class Power(Function):
        @staticmethod
        def forward(ctx, x, number):
            exponent = number if isinstance(number, torch.Tensor) else torch.tensor(number, dtype=x.dtype)
            ctx.exponent = kept(x, exponent)
            ctx.save_for_backward(x)
            return x**exponent

        @staticmethod
        def backward(ctx, grad_output):
            (x,) = ctx.saved_tensors
            return grad_output * 3 * x**2, None

    return Power


def test_a_constant_that_was_made_of_a_number_may_stay_on_ctx():
    for kept in (lambda x, three: three, lambda x, three: [three.expand(4, 1), three + 1]):
        assert check(power(kept), (X, 3.0)).verdict == "correct"


@pytest.mark.parametrize(
    "kept",
    [lambda x, three: x, lambda x, three: x[:, :1], lambda x, three: (x > 0).to(x.dtype), lambda x, three: x.mean()],
    ids=["input", "view", "mask in floating point", "number of the input"],
)
def test_what_is_made_of_an_input_may_not_stay_on_ctx(kept):
    assert errors(check(power(kept), (X, 3.0))) == {"keeps-tensors"}


def test_a_tensor_that_was_given_may_not_stay_on_ctx():
    three = torch.tensor(3.0, dtype=torch.float64)
    assert errors(check(power(lambda x, three: three), (X, three), requires=[0])) == {"keeps-tensors"}


def test_slopes_are_those_of_forward_as_it_is_when_a_gradient_is_asked_for():
    class Affine(Function):
        @staticmethod
        def forward(ctx, x, weight, bias):
            ctx.save_for_backward(x, weight)
            return torch.addmm(bias, x, weight) if bias.requires_grad else x @ weight + bias

        @staticmethod
        def backward(ctx, grad_output):
            x, weight = ctx.saved_tensors
            return grad_output @ weight.T, x.T @ grad_output, grad_output.sum(0)

    class Forgets(Affine):
        @staticmethod
        def forward(ctx, x, weight, bias):
            ctx.save_for_backward(x, weight)
            return torch.addmm(bias, x, weight) if bias.requires_grad else x @ weight

    weight, bias = torch.randn(3, 2, dtype=torch.float64), torch.randn(2, dtype=torch.float64)
    assert check(Affine, (X, weight, bias)).verdict == "correct"
    assert errors(check(Forgets, (X, weight, bias))) == {"forward-value"}  # a bias that is frozen is left out


def test_a_gradient_in_the_dtype_that_forward_gave_the_output_is_no_fault():
    class Spike(Function):
        @staticmethod
        def forward(ctx, voltage):
            return (voltage > 0).float()

        @staticmethod
        def backward(ctx, grad_output):
            return grad_output.clone()

    class Halved(Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, grad_output):
            return 2 * grad_output.float()

    found = check(Spike, (X,), surrogate=lambda voltage: voltage)
    assert found.verdict == "correct"
    assert "grad-dtype" in [finding.code for finding in found.findings]
    assert errors(check(Halved, (X,))) == {"grad-dtype"}
