"""The properties on a Function of a student's own, in the course's old form: forward with ctx, no jvp, one gradient."""

import pytest
import torch
from torch.autograd import Function

from amal.checking import PROPERTIES, Case


class MySigmoid(Function):
    @staticmethod
    def forward(ctx, input):
        output = 1 / (1 + torch.exp(-input))
        ctx.save_for_backward(output)
        return output

    @staticmethod
    def backward(ctx, grad_output):
        (output,) = ctx.saved_tensors
        return grad_output * output * (1 - output)


class MyWrongSigmoid(MySigmoid):
    @staticmethod
    def backward(ctx, grad_output):
        (output,) = ctx.saved_tensors
        return (grad_output * output * (1 - output)).sum(0)


NEEDS_MORE = {"forward mode": NotImplementedError, "torch.func": RuntimeError}
"""Properties that need a jvp and a setup_context, and what torch says where there are none."""


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    "name", [name for name in PROPERTIES if name not in (*NEEDS_MORE, "error budget", "None stays None")]
)
def test_a_right_function_in_the_old_form_passes(name):
    """All but two: made of four operations it rounds four times, where torch's rounds once; and torch makes zeros of
    None for a Function that does not ask it to let that be."""
    PROPERTIES[name](Case("mine", MySigmoid.apply, torch.sigmoid, ((5, 3),)))


@pytest.mark.parametrize("name", NEEDS_MORE)
def test_what_the_old_form_lacks_is_said(name):
    with pytest.raises(NEEDS_MORE[name], match=r"jvp|setup_context"):
        PROPERTIES[name](Case("mine", MySigmoid.apply, torch.sigmoid, ((5, 3),)))


def test_a_wrong_function_in_the_old_form_does_not():
    with pytest.raises(AssertionError, match=r"gradient of input 0 is \(\(3,\), .* expected \(\(5, 3\)"):
        PROPERTIES["exact shapes"](Case("mine", MyWrongSigmoid.apply, torch.sigmoid, ((5, 3),)))


def test_a_case_draws_the_same_numbers_whatever_the_layout_and_dtype():
    case = Case("any", torch.add, torch.add, ((5, 3), (3,)))
    plain, other = case.inputs(), case.inputs(torch.float32, contiguous=False)
    assert not other[0].is_contiguous()
    assert not other[1].is_contiguous()
    for a, b in zip(plain, other, strict=True):
        assert torch.equal(a.float(), b)
        assert a.requires_grad
        assert b.requires_grad
