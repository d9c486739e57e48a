"""What the public functions say of wrong arguments, and the corners that the table does not reach."""

import inspect

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

import amal.functional as F

X, W, B = torch.zeros(5, 3), torch.zeros(4, 3), torch.zeros(4)


@pytest.mark.parametrize("name", ["linear", "mse_loss"])
def test_signature_is_torchs(name):
    ours, theirs = (getattr(module, name) for module in (F, torch.nn.functional))
    if name == "linear":  # a builtin: its signature stands in its docstring only
        assert "linear(input, weight, bias=None)" in theirs.__doc__
        parameters = inspect.signature(ours).parameters.values()
        assert [(p.name, p.default) for p in parameters][1:] == [("weight", inspect.Parameter.empty), ("bias", None)]
    else:
        parameters = [[(p.name, p.default) for p in inspect.signature(f).parameters.values()] for f in (ours, theirs)]
        assert parameters[0] == parameters[1]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((torch.zeros(5, 7), W), ValueError, r"linear: input is \(5, 7\) but weight \(4, 3\) expects 3 features"),
        ((torch.zeros(()), W), ValueError, r"linear: input is \(\) but weight \(4, 3\) expects 3 features"),
        ((X, W, torch.zeros(3)), ValueError, r"linear: bias is \(3,\) but weight \(4, 3\) expects a bias \(4,\)"),
        ((X, W, torch.zeros(1, 4)), ValueError, r"linear: bias is \(1, 4\) but weight \(4, 3\) expects a bias \(4,\)"),
        ((X, torch.zeros(2, 4, 3)), ValueError, r"linear: weight is \(2, 4, 3\), expected \(out, in\) or \(in\)"),
        ((X, torch.zeros(())), ValueError, r"linear: weight is \(\), expected \(out, in\) or \(in\)"),
        ((X.long(), W), TypeError, r"linear: input is torch.int64, expected a floating-point tensor"),
        ((X, W.int()), TypeError, r"linear: weight is torch.int32, expected a floating-point tensor"),
        ((X.to(torch.complex64), W), TypeError, r"linear: input is torch.complex64, expected a floating-point"),
        ((X.double(), W), TypeError, r"linear: input is torch.float64 but weight is torch.float32, expected one dtype"),
        ((X, W, B.double()), TypeError, r"input is torch.float32 but bias is torch.float64, expected one dtype"),
        ((X, W.to("meta")), ValueError, r"linear: input is on cpu but weight on meta, expected one device"),
        (([1.0, 2.0, 3.0], W), TypeError, r"linear: input is a list, expected a tensor"),
        ((None, W), TypeError, r"linear: input is a NoneType, expected a tensor"),
        ((X.to("meta"), W), ValueError, r"linear: input is on meta but weight on cpu, expected one device"),
        ((X, W, 0.5), TypeError, r"linear: bias is a float, expected a tensor"),
    ],
)
def test_linear_says_what_is_wrong(arguments, error, message):
    with pytest.raises(error, match=message):
        F.linear(*arguments)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((torch.zeros(8, 1), torch.zeros(8)), {}, ValueError, r"input is \(8, 1\) but target \(8,\), expected equal"),
        (
            (torch.zeros(8), torch.zeros(())),
            {},
            ValueError,
            r"mse_loss: input is \(8,\) but target \(\), expected equal",
        ),
        ((X, X), {"weight": torch.zeros(5, 1)}, ValueError, r"input is \(5, 3\) but weight \(5, 1\), expected equal"),
        (
            (X, X),
            {"reduction": "avg"},
            ValueError,
            r"mse_loss: reduction is 'avg', expected one of 'none', 'mean', 'sum'",
        ),
        ((X.long(), X.long()), {}, TypeError, r"mse_loss: input is torch.int64, expected a floating-point tensor"),
        ((X, X.long()), {}, TypeError, r"mse_loss: target is torch.int64, expected .*target.float\(\)"),
        ((X, X.double()), {}, TypeError, r"mse_loss: input is torch.float32 but target is torch.float64"),
        ((X, X.to("meta")), {}, ValueError, r"mse_loss: input is on cpu but target on meta"),
        ((X, None), {}, TypeError, r"mse_loss: target is a NoneType, expected a tensor"),
        ((X, 0.0), {}, TypeError, r"mse_loss: target is a float, expected a tensor"),
    ],
)
def test_mse_loss_says_what_is_wrong(arguments, options, error, message):
    with pytest.raises(error, match=message):
        F.mse_loss(*arguments, **options)


def test_wrong_arguments_under_autocast_are_named_too():
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(TypeError, match="weight is a list, expected a tensor"):
        F.linear(X, [1.0])


@pytest.mark.parametrize(
    ("size_average", "reduce", "meant"), [(None, False, "none"), (False, None, "sum"), (True, True, "mean")]
)
def test_deprecated_reductions_mean_what_torch_means(size_average, reduce, meant):
    input, target = torch.randn(5, 3), torch.randn(5, 3)
    with pytest.warns(UserWarning, match=f"reduction='{meant}'"):
        ours = F.mse_loss(input, target, size_average, reduce)
    assert_close(ours, torch.nn.functional.mse_loss(input, target, reduction=meant))


def test_mean_over_nothing_is_nan_with_empty_gradients():
    input = torch.zeros(0, 3, requires_grad=True)
    loss = F.mse_loss(input, torch.zeros(0, 3))
    loss.backward()
    assert loss.isnan()
    assert input.grad.shape == (0, 3)


def test_vector_weight_takes_a_scalar_bias():
    input, weight = torch.randn(2, 5, 3), torch.randn(3)
    assert_close(F.linear(input, weight, torch.tensor(2.0)), input @ weight + 2)


def test_low_precision_without_autocast_equals_torch():
    input, weight, bias = (torch.randn(shape).bfloat16() for shape in ((5, 3), (4, 3), (4,)))
    assert torch.equal(F.linear(input, weight, bias), torch.nn.functional.linear(input, weight, bias))
    assert F.mse_loss(input, input.clone().add_(1)).dtype == torch.bfloat16


shapes = st.lists(st.integers(0, 4), max_size=3)


@settings(max_examples=50)
@given(leading=shapes, features=st.integers(0, 5), outputs=st.integers(0, 5), with_bias=st.booleans())
def test_linear_equals_torch_for_any_shape(leading, features, outputs, with_bias):
    leaves = [
        torch.randn(*shape, requires_grad=True) for shape in ((*leading, features), (outputs, features), (outputs,))
    ]
    arguments = leaves if with_bias else leaves[:2]
    ours, theirs = F.linear(*arguments), torch.nn.functional.linear(*arguments)
    assert_close(ours, theirs)
    grad_output = torch.randn(theirs.shape)
    assert_close(torch.autograd.grad(ours, arguments, grad_output), torch.autograd.grad(theirs, arguments, grad_output))
