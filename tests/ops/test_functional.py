"""What the public functions say of wrong arguments, and the corners that the table does not reach."""

import inspect
import re
import types

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

import amal.functional as F
import amal.ops
from amal.proofs.budget import saved_bytes
from amal.proofs.cases import case

X, W, B = torch.zeros(5, 3), torch.zeros(4, 3), torch.zeros(4)


NAMES = [name for name in amal.ops.OPERATIONS if name != "highway"]
MAX_POOL = "input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False"


@pytest.mark.parametrize("name", NAMES)
def test_signature_is_torchs(name):
    assert bare(inspect.signature(getattr(F, name))) == bare(signature_of_torch(name))


def signature_of_torch(name):
    """The signature of torch's function; of what is written in C++ it stands in the docstring alone."""
    function = getattr(torch.nn.functional, name)
    if name.startswith("max_pool"):  # picks one of two functions, and shows neither
        parameters = MAX_POOL
    elif isinstance(function, types.FunctionType):
        return inspect.signature(function)
    else:
        parameters = " ".join(re.search(rf"{name}\((.*?)\) ->", function.__doc__, re.DOTALL)[1].split())
    return inspect.signature(eval(f"lambda {parameters}: None"))


def bare(signature):
    return [(parameter.name, parameter.default) for parameter in signature.parameters.values()]


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


@pytest.mark.parametrize("lies", ["as it is", "transposed"])
def test_the_gradient_of_a_weight_lies_in_memory_as_the_weight(lies):
    weight, input = torch.randn(3, 4, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)
    weight = weight if lies == "as it is" else weight.t().contiguous().t()
    gradient = torch.autograd.grad(F.linear(input, weight.requires_grad_()).square().sum(), weight)[0]
    assert_close(gradient, 2 * (input @ weight.mT).mT @ input)
    assert gradient.stride() == weight.stride()


HIGHWAY = [torch.zeros(5, 3), torch.zeros(3, 3), torch.zeros(3), torch.zeros(3, 3), torch.zeros(3)]


@pytest.mark.parametrize(
    ("place", "wrong", "error", "message"),
    [
        (0, torch.zeros(5, 4), ValueError, r"input is \(5, 4\) but transform_weight \(3, 3\), expected \(4, 4\)"),
        (0, torch.zeros(()), ValueError, r"highway: input is \(\), expected \(\*, d\)"),
        (1, torch.zeros(3, 2), ValueError, r"input is \(5, 3\) but transform_weight \(3, 2\), expected \(3, 3\)"),
        (2, torch.zeros(1, 3), ValueError, r"input is \(5, 3\) but transform_bias \(1, 3\), expected \(3,\)"),
        (3, torch.zeros(4, 3), ValueError, r"input is \(5, 3\) but gate_weight \(4, 3\), expected \(3, 3\)"),
        (4, torch.zeros(()), ValueError, r"input is \(5, 3\) but gate_bias \(\), expected \(3,\)"),
        (2, None, TypeError, r"highway: transform_bias is a NoneType, expected a tensor"),
        (4, torch.zeros(3).double(), TypeError, r"input is torch.float32 but gate_bias is torch.float64"),
        (3, torch.zeros(3, 3, device="meta"), ValueError, r"input is on cpu but gate_weight on meta"),
        (5, "softplus", ValueError, r"activation is 'softplus', expected one of 'relu', 'tanh', 'sigmoid'"),
    ],
)
def test_highway_says_what_is_wrong(place, wrong, error, message):
    arguments = [*HIGHWAY, "relu"]
    arguments[place] = wrong
    with pytest.raises(error, match=message):
        F.highway(*arguments)


def test_highway_keeps_at_most_sixty_percent_of_what_its_parts_keep():
    row = case("highway", (1000, 20), *[(20, 20), (20,)] * 2)
    inputs = row.inputs(torch.float32)
    assert saved_bytes(row.operation, inputs) <= 0.6 * saved_bytes(row.reference, inputs)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "relu", "leaky_relu", "gelu", "silu"])
@pytest.mark.parametrize(("wrong", "message"), [(X.long(), "is torch.int64"), ([1.0], "is a list"), (None, "NoneType")])
def test_entrywise_operations_say_what_is_wrong(name, wrong, message):
    with pytest.raises(TypeError, match=f"{name}: input {message}|{name}: input is a {message}"):
        getattr(F, name)(wrong)


def test_options_of_entrywise_operations_are_checked():
    with pytest.raises(ValueError, match="gelu: approximate is 'fast', expected 'none' or 'tanh'"):
        F.gelu(X, approximate="fast")
    with pytest.raises(TypeError, match=r"threshold: input is torch\.int64"):
        F.threshold(X.long(), 0.0, 1.0)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_says_what_is_wrong(name):
    function = getattr(F, name)
    with pytest.raises(IndexError, match=rf"{name}: dim is 2 but input \(5, 3\), expected -2 to 1"):
        function(X, dim=2)
    with pytest.raises(TypeError, match=f"{name}: dim is a float, expected a whole number"):
        function(X, dim=1.0)
    with pytest.raises(TypeError, match=f"{name}: input is torch.int64"):
        function(X.long(), dim=1)
    with pytest.raises(TypeError, match=f"{name}: input is a list"):
        function([1.0], dim=0)
    assert_close(function(X.long(), dim=1, dtype=torch.float32).exp().sum(), function(X, dim=1).exp().sum())


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("dims", [1, 2, 3, 4])
def test_softmax_without_dim_guesses_as_torch_does(name, dims):
    input = torch.randn(2, 3, 4, 5)[(0,) * (4 - dims)]
    with pytest.warns(UserWarning, match=f"{name}: a dim left out is deprecated"):
        ours = getattr(F, name)(input)
    with pytest.warns(UserWarning, match="Implicit dimension choice"):
        assert_close(ours, getattr(torch.nn.functional, name)(input))


@pytest.mark.parametrize(
    ("name", "options"),
    [("relu", {}), ("leaky_relu", {}), ("silu", {}), ("threshold", {"threshold": 0.1, "value": 2.0})],
)
def test_inplace_overwrites_and_still_has_the_right_gradient(name, options):
    results = []
    for module in (F, torch.nn.functional):
        leaf = torch.linspace(-2, 2, 12, requires_grad=True)
        input = leaf * 1.5
        output = getattr(module, name)(input, **options, inplace=True)
        assert output is input
        (2 * output).sum().backward()
        results.append((output.detach(), leaf.grad))
    assert_close(*results)
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
        getattr(F, name)(torch.zeros(3, requires_grad=True), **options, inplace=True)


KINKS = torch.tensor([-0.0, 0.0, 1.0, -1.0, float("inf"), float("-inf"), 1e-45, -1e-45, 3e38, -3e38])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("relu", {}),
        ("leaky_relu", {}),
        ("leaky_relu", {"negative_slope": -0.5}),
        ("leaky_relu", {"negative_slope": 0.7}),
        ("threshold", {"threshold": 1.0, "value": -3.0}),
        ("threshold", {"threshold": -1.0, "value": 5.0}),
        ("tanh", {}),
        ("sigmoid", {}),
    ],
)
def test_kinks_and_extremes_follow_torch(name, options):
    results = []
    for module in (F, torch.nn.functional):
        input = KINKS.clone().requires_grad_()
        output = getattr(module, name)(input, **options)
        results.append((output.detach(), *torch.autograd.grad(output, input, torch.full_like(input, 3.0))))
    assert_close(*results)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_of_huge_numbers_is_finite(name):
    results = []
    for module in (F, torch.nn.functional):
        input = torch.tensor([[1e4, -1e4, 0.0], [1e4, 1e4, 1e4], [3e38, 0.0, -3e38]], requires_grad=True)
        output = getattr(module, name)(input, dim=1)
        results.append((output.detach(), *torch.autograd.grad(output, input, torch.eye(3))))
        assert all(tensor.isfinite().all() for tensor in results[-1][1:])
    assert_close(*results)


@settings(max_examples=50)
@given(shape=st.lists(st.integers(0, 4), max_size=4), data=st.data(), name=st.sampled_from(["softmax", "log_softmax"]))
def test_softmax_equals_torch_for_any_shape_and_layout(shape, data, name):
    dim = data.draw(st.integers(-max(len(shape), 1), max(len(shape), 1) - 1))
    order = data.draw(st.permutations(range(len(shape))))
    input = torch.randn(shape).permute(order).requires_grad_()
    ours, theirs = (getattr(module, name)(input, dim=dim) for module in (F, torch.nn.functional))
    assert_close(ours, theirs)
    g = torch.randn(theirs.shape)
    assert_close(torch.autograd.grad(ours, input, g), torch.autograd.grad(theirs, input, g))


@settings(max_examples=50)
@given(
    leading=shapes,
    features=st.integers(0, 5),
    activation=st.sampled_from(["relu", "tanh", "sigmoid"]),
    low=st.booleans(),
)
def test_highway_equals_its_parts_for_any_shape(leading, features, activation, low):
    row = case("highway", (*leading, features), *[(features, features), (features,)] * 2, activation=activation)
    inputs = row.inputs(torch.bfloat16 if low else torch.float64)
    ours, theirs = row.operation(*inputs), row.reference(*inputs)
    tolerance = {"rtol": 0.1, "atol": 0.1} if low else {}
    assert_close(ours, theirs, **tolerance)
    if not low:
        g = torch.randn_like(theirs)
        assert_close(torch.autograd.grad(ours, inputs, g), torch.autograd.grad(theirs, inputs, g))
