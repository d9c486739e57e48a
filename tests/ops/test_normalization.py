"""Normalisation: running statistics, layers, what is said of wrong arguments, and drawn shapes beside torch's."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

import amal.functional as F
import amal.nn

X, C = torch.zeros(4, 3), torch.ones(3)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((X[:, 0], None, None), {"training": True}, ValueError, r"batch_norm: input is \(4,\), expected \(n, c\) or"),
        ((X.long(), C, C), {}, TypeError, r"batch_norm: input is torch.int64, expected a floating-point tensor"),
        (([1.0], C, C), {}, TypeError, r"batch_norm: input is a list, expected a tensor"),
        ((X, C[:2], C), {}, ValueError, r"running_mean is \(2,\) but input \(4, 3\) expects running_mean \(3,\)"),
        ((X, C, C, C[None]), {}, ValueError, r"weight is \(1, 3\) but input \(4, 3\) expects weight \(3,\)"),
        ((X, C, C, C, C[:1]), {}, ValueError, r"bias is \(1,\) but input \(4, 3\) expects bias \(3,\)"),
        ((X, C.double(), C.double()), {}, TypeError, r"input is torch.float32 but running_mean is torch.float64"),
        ((X, C, C, C.bfloat16()), {}, TypeError, r"weight is torch.bfloat16 but running_mean is torch.float32"),
        ((X, C.to("meta"), C.to("meta")), {}, ValueError, r"input is on cpu but running_mean on meta"),
        ((X, None, None), {}, ValueError, r"batch_norm: running_mean is None, expected both in evaluation"),
        ((X, C, None), {"training": True}, ValueError, r"batch_norm: running_var is None, expected both or neither"),
        ((X, C.clone().requires_grad_(), C), {}, ValueError, r"running_mean requires a gradient, expected .*detach"),
        ((X[:1], C, C), {"training": True}, ValueError, r"input is \(1, 3\), expected more than one entry per channel"),
        ((X, C, C), {"training": True, "eps": 0.0}, ValueError, r"eps is 0.0, expected a positive number"),
        ((X, C, C), {"eps": -1.0}, ValueError, r"eps is -1.0, expected a positive number"),
        ((X, C, C), {"training": True, "momentum": None}, TypeError, r"momentum is a NoneType, expected a number"),
        ((X, C, C), {"training": 1}, TypeError, r"training is a int, expected True or False"),
    ],
)
def test_batch_norm_says_what_is_wrong(arguments, options, error, message):
    with pytest.raises(error, match=message):
        F.batch_norm(*arguments, **options)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((X, (4,)), ValueError, r"layer_norm: input is \(4, 3\) but normalized_shape \(4,\), expected the last"),
        ((X, (2, 4, 3)), ValueError, r"input is \(4, 3\) but normalized_shape \(2, 4, 3\)"),
        ((X, ()), ValueError, r"normalized_shape \(\), expected the last dimensions of input, at least one"),
        ((X, 3), TypeError, r"layer_norm: normalized_shape is 3, expected a tuple of integers"),
        ((X, (3.0,)), TypeError, r"normalized_shape is \(3.0,\), expected a tuple of integers"),
        ((X, (3,), C[:2]), ValueError, r"weight is \(2,\) but input \(4, 3\) expects weight \(3,\)"),
        ((X, (3,), C, C[None]), ValueError, r"bias is \(1, 3\) but input \(4, 3\) expects bias \(3,\)"),
        ((X, (3,), C.double()), TypeError, r"input is torch.float32 but weight is torch.float64, expected one dtype"),
        ((X.bfloat16(), (3,), C, C.bfloat16()), TypeError, r"weight is torch.float32 but bias is torch.bfloat16"),
        ((X.bfloat16(), (3,), C.half()), TypeError, r"input is torch.bfloat16 but weight is torch.float16"),
        ((X, (3,), C.to("meta")), ValueError, r"layer_norm: input is on cpu but weight on meta"),
        ((X.long(), (3,)), TypeError, r"layer_norm: input is torch.int64, expected a floating-point tensor"),
        ((X, (3,), 1.0), TypeError, r"layer_norm: weight is a float, expected a tensor"),
        ((X, (3,), C, C, "a"), TypeError, r"layer_norm: eps is a str, expected a number"),
    ],
)
def test_layer_norm_says_what_is_wrong(arguments, error, message):
    with pytest.raises(error, match=message):
        F.layer_norm(*arguments)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_batch_norm_layer_follows_torchs_over_several_steps(momentum, compiled):
    ours, theirs = (module.BatchNorm2d(3, momentum=momentum) for module in (amal.nn, torch.nn))
    assert repr(ours) == repr(theirs)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    run = torch.compile(ours, backend="aot_eager", fullgraph=momentum is not None) if compiled else ours
    for step in range(4):
        input = torch.randn(5, 3, 2, 2) * (step + 1) + step
        assert_close(run(input), theirs(input))
    assert_close(ours.state_dict(), theirs.state_dict())
    assert ours.running_mean.abs().sum() > 0
    ours.eval(), theirs.eval()
    assert_close(run(input), theirs(input))


@pytest.mark.parametrize("name", ["BatchNorm1d", "BatchNorm2d"])
def test_batch_norm_layer_without_tracking_uses_the_batch_in_evaluation_too(name):
    input = torch.randn(5, 3, 2) if name == "BatchNorm1d" else torch.randn(5, 3, 2, 2)
    ours, theirs = (getattr(module, name)(3, track_running_stats=False).eval() for module in (amal.nn, torch.nn))
    assert_close(ours(input), theirs(input))
    with pytest.raises(ValueError, match="expected"):
        ours(torch.randn(5, 3, 2, 2, 2))


def test_the_third_derivative_of_layer_norm_is_right():
    """Torch's own, of 2.14, is silently another: findings/third_derivative_of_layer_norm.sh."""
    input, *directions = torch.randn(4, 2, 4, dtype=torch.float64)

    def second(x):
        total = F.layer_norm(x, (4,))
        for direction in directions[:2]:
            (total,) = torch.autograd.grad((total * direction).sum(), x, create_graph=True)
        return total

    assert torch.autograd.gradcheck(second, input.requires_grad_())


def test_layer_norm_layer_is_torchs():
    input = torch.randn(2, 3, 4)
    for arguments in ((4,), ((3, 4), 0.1), (4, 1e-5, False), (4, 1e-5, True, False)):
        ours, theirs = amal.nn.LayerNorm(*arguments), torch.nn.LayerNorm(*arguments)
        assert repr(ours) == repr(theirs)
        theirs.load_state_dict(ours.state_dict())
        assert_close(ours(input), theirs(input))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_inputs_may_have_float32_parameters(dtype):
    input = torch.randn(8, 3).to(dtype).requires_grad_()
    weight, bias = torch.randn(3, requires_grad=True), torch.randn(3, requires_grad=True)
    for name, arguments in (("layer_norm", ((3,), weight, bias)), ("batch_norm", (None, None, weight, bias, True))):
        ours, theirs = (getattr(module, name)(input, *arguments) for module in (F, torch.nn.functional))
        assert_close(ours, theirs)
        grad_output = torch.randn(8, 3).to(dtype)
        gradients = [torch.autograd.grad(output, (input, weight, bias), grad_output) for output in (ours, theirs)]
        assert_close(*gradients, rtol=2e-2, atol=2e-2)


def test_a_batch_of_nothing_leaves_the_running_statistics_alone():
    mean, var = torch.zeros(3), torch.ones(3)
    assert F.batch_norm(torch.zeros(0, 3), mean, var, C, C, training=True).shape == (0, 3)
    assert F.batch_norm(torch.zeros(0), None, None, training=True).shape == (0,)
    assert mean.eq(0).all()
    assert var.eq(1).all()


def test_where_the_mean_is_large_gradients_are_as_exact_as_torchs():
    input = torch.randn(64, 16, dtype=torch.float64) + 100
    grad_output = torch.randn(64, 16, dtype=torch.float64)

    def gradient(call, dtype):
        leaf = input.to(dtype).requires_grad_()
        return torch.autograd.grad(call(leaf), leaf, grad_output.to(dtype))[0].double()

    for name, arguments in (("layer_norm", ((16,),)), ("batch_norm", (None, None, None, None, True))):
        ours, theirs = (getattr(module, name) for module in (F, torch.nn.functional))
        exact = gradient(lambda x, f=theirs, a=arguments: f(x, *a), torch.float64)
        error, allowed = (
            (gradient(lambda x, f=f, a=arguments: f(x, *a), torch.float32) - exact).abs().max() for f in (ours, theirs)
        )
        assert error <= 2 * allowed


@settings(max_examples=40)
@given(
    shape=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    dims=st.integers(1, 3),
    with_weight=st.booleans(),
    with_bias=st.booleans(),
    training=st.booleans(),
)
def test_any_shape_equals_torch(shape, dims, with_weight, with_bias, training):
    shape[0] += 1  # more than one entry per channel
    input = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    normalized, channels = shape[-min(dims, len(shape)) :], shape[1]

    def parameter(size, wanted):
        return torch.randn(size, dtype=torch.float64, requires_grad=True) if wanted else None

    for name, size in (("layer_norm", normalized), ("batch_norm", channels)):
        weight, bias = parameter(size, with_weight), parameter(size, with_bias)
        outputs = []
        for module in (F, torch.nn.functional):
            statistics = torch.zeros(channels, dtype=torch.float64), torch.ones(channels, dtype=torch.float64)
            before = (normalized,) if name == "layer_norm" else statistics
            after = {} if name == "layer_norm" else {"training": training}
            outputs.append(getattr(module, name)(input, *before, weight, bias, **after))
        assert_close(*outputs)
        leaves = [tensor for tensor in (input, weight, bias) if tensor is not None]
        grad_output = torch.randn(shape, dtype=torch.float64)
        assert_close(*(torch.autograd.grad(output, leaves, grad_output) for output in outputs))
