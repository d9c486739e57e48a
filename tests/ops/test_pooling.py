"""Pooling: what is said of wrong arguments, the corners of each operation, and any shape against torch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

import amal.functional as F
from amal import nn

SIGNAL, IMAGE = torch.zeros(2, 3, 9), torch.zeros(2, 3, 9, 8)


@pytest.mark.parametrize("name", ["max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d"])
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"kernel_size": 0}, ValueError, "kernel_size is 0, expected at least 1"),
        ({"kernel_size": 2.0}, TypeError, "kernel_size is 2.0, expected integers"),
        ({"kernel_size": True}, TypeError, "kernel_size is True, expected integers"),
        ({"kernel_size": (2, 2, 2)}, ValueError, r"kernel_size is \(2, 2, 2\), expected one number or [12]"),
        ({"kernel_size": ()}, ValueError, r"kernel_size is \(\), expected one number or [12]"),
        ({"kernel_size": 2, "stride": -1}, ValueError, "stride is -1, expected at least 1"),
        ({"kernel_size": 2, "stride": 0}, ValueError, "stride is 0, expected at least 1"),
        ({"kernel_size": 2, "padding": -1}, ValueError, "padding is -1, expected at least 0"),
        ({"kernel_size": 2, "padding": None}, TypeError, "padding is None, expected integers"),
        ({"kernel_size": 3, "padding": 2}, ValueError, "padding is 2 but kernel_size 3 allows at most half of it"),
        ({"kernel_size": 10}, ValueError, r"input is \(2, 3, 9.*\) with padding 0, expected room for a window of 10"),
        ({"kernel_size": 2, "ceil_mode": 1}, TypeError, "ceil_mode is 1, expected True or False"),
    ],
)
def test_every_pooling_says_what_is_wrong(name, options, error, message):
    with pytest.raises(error, match=f"{name}: {message}"):
        getattr(F, name)(SIGNAL if "1d" in name else IMAGE, **options)


@pytest.mark.parametrize(
    ("name", "arguments", "error", "message"),
    [
        ("max_pool1d", (IMAGE, 2), ValueError, r"input is \(2, 3, 9, 8\), expected \(channels, length\) or \(batch, "),
        ("max_pool2d", (IMAGE[0, 0], 2), ValueError, r"input is \(9, 8\), expected \(channels, height, width\) or"),
        ("max_pool2d", (IMAGE[:, :0], 2), ValueError, r"input is \(2, 0, 9, 8\), expected at least one entry"),
        ("max_pool2d", (IMAGE[0, :0], 2), ValueError, r"input is \(0, 9, 8\), expected at least one entry"),
        ("max_pool2d", (IMAGE.long(), 2), TypeError, "input is torch.int64, expected a floating-point tensor"),
        ("max_pool2d", ([1.0], 2), TypeError, "input is a list, expected a tensor"),
        ("max_pool2d", (IMAGE, 2, 2, 0, 0), ValueError, "dilation is 0, expected at least 1"),
        ("max_pool2d", (IMAGE, 2, 2, 0, (5, 9)), ValueError, ".* expected room for a window of 10"),
        ("max_pool2d", (IMAGE, 2**63, 2**63, 0, 2**63, True), ValueError, ".* expected room for a window"),
        ("avg_pool1d", (SIGNAL, 2, 2, 0, False, 0), TypeError, "count_include_pad is 0, expected True or False"),
        ("avg_pool2d", (IMAGE, 2, 2, 0, False, None), TypeError, "count_include_pad is None, expected True or False"),
        ("avg_pool2d", (IMAGE, 2, 2, 0, False, True, 0), ValueError, "divisor_override is 0, expected another"),
        ("avg_pool2d", (IMAGE, 2, 2, 0, False, True, 2.0), TypeError, "divisor_override is 2.0, expected an integer"),
        ("adaptive_avg_pool2d", (IMAGE[0, 0], 2), ValueError, r"input is \(9, 8\), expected \(channels, height"),
        ("adaptive_avg_pool2d", (IMAGE[..., :0], 2), ValueError, r"input is \(2, 3, 9, 0\), expected height and"),
        ("adaptive_avg_pool2d", (IMAGE, (2, 2, 2)), ValueError, r"output_size is \(2, 2, 2\), expected one number or"),
        ("adaptive_avg_pool2d", (IMAGE, (2,)), ValueError, r"output_size is \(2,\), expected one number or two"),
        ("adaptive_avg_pool2d", (IMAGE, None), TypeError, "output_size is None, expected numbers"),
        ("adaptive_avg_pool2d", (IMAGE, -1), ValueError, "output_size is .*-1.*, expected at least 0"),
        ("adaptive_avg_pool2d", (IMAGE, 2.5), TypeError, "output_size is .*2.5.*, expected integers"),
    ],
)
def test_pooling_says_what_is_wrong(name, arguments, error, message):
    with pytest.raises(error, match=f"{name}: {message}"):
        getattr(F, name)(*arguments)


def same_as_torch(name, input, **options):
    """Value and gradient of ours and of torch's, for one random grad_output."""
    leaf = input.detach().requires_grad_()
    ours, theirs = (getattr(module, name)(leaf, **options) for module in (F, torch.nn.functional))
    assert_close(ours, theirs, equal_nan=True)
    grad_output = torch.randn(theirs.shape, dtype=theirs.dtype)
    gradients = [torch.autograd.grad(output, leaf, grad_output)[0] for output in (ours, theirs)]
    assert_close(*gradients, equal_nan=True)


@pytest.mark.parametrize("fill", [1.0, float("-inf"), float("nan")], ids=["all equal", "all -inf", "all NaN"])
@pytest.mark.parametrize("padding", [0, 1])
def test_ties_go_to_the_entry_that_torch_chooses(fill, padding):
    options = {"kernel_size": 3, "stride": 2, "padding": padding}
    same_as_torch("max_pool2d", torch.full((1, 2, 6, 7), fill), **options)
    same_as_torch("max_pool1d", torch.full((1, 2, 7), fill), **options)


def test_one_nan_is_the_maximum_of_its_windows():
    image = torch.randn(1, 2, 5, 6)
    image[0, 0, 2, 2] = float("nan")
    same_as_torch("max_pool2d", image, kernel_size=3, stride=1)


@pytest.mark.parametrize(("name", "shape"), [("max_pool1d", (2, 3, 9)), ("max_pool2d", (2, 3, 9, 7))])
@pytest.mark.parametrize("batched", [True, False])
def test_indices_equal_torchs_and_carry_no_gradient(name, shape, batched):
    input = torch.randn(shape if batched else shape[1:], requires_grad=True)
    options = {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "return_indices": True}
    (ours, our_indices), (theirs, indices) = (getattr(m, name)(input, **options) for m in (F, torch.nn.functional))
    assert torch.equal(ours, theirs)
    assert torch.equal(our_indices, indices)
    assert not our_indices.requires_grad
    ours.sum().backward()
    assert input.grad.sum() == ours.numel()


def test_max_pooling_keeps_its_indices_alone():
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.dtype), lambda _: None):
        F.max_pool2d(torch.randn(1, 1, 4, 4, requires_grad=True), 2)
    assert kept == [torch.int64]


@pytest.mark.parametrize("name", ["avg_pool1d", "avg_pool2d", "adaptive_avg_pool2d"])
def test_averages_keep_nothing(name):
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(kept.append, lambda _: None):
        getattr(F, name)((SIGNAL if "1d" in name else IMAGE).clone().requires_grad_(), 2)
    assert kept == []


def test_large_images_take_the_same_gradient_as_small_ones():
    for options in ({"padding": 1}, {"padding": 1, "ceil_mode": True, "count_include_pad": False}):
        same_as_torch("avg_pool2d", torch.randn(4, 8, 66, 65), kernel_size=3, stride=2, **options)
        same_as_torch("avg_pool2d", torch.randn(32, 66, 65), kernel_size=3, stride=2, **options)


@st.composite
def windows(draw, axes, dilated):
    """An input's shape with the options of a pooling of it, some of which leave no room for a window."""
    kernel = draw(st.tuples(*[st.integers(1, 4)] * axes))
    options = {
        "kernel_size": kernel,
        "stride": draw(st.none() | st.tuples(*[st.integers(1, 3)] * axes)),
        "padding": tuple(draw(st.integers(0, k // 2)) for k in kernel),
        "ceil_mode": draw(st.booleans()),
    }
    if dilated:
        options["dilation"] = draw(st.integers(1, 2))
    size = draw(st.lists(st.integers(1, 9), min_size=axes, max_size=axes))
    return (*draw(st.sampled_from([(), (0,), (2,)])), 2, *size), options


@pytest.mark.one_in(2)
@settings(max_examples=100, deadline=None)
@given(st.data())
@pytest.mark.parametrize("name", ["max_pool1d", "max_pool2d", "avg_pool1d", "avg_pool2d"])
def test_pooling_equals_torch_for_any_window(name, data):
    shape, options = data.draw(windows(int(name[-2]), dilated=name.startswith("max")))
    if name.startswith("avg"):
        options["count_include_pad"] = data.draw(st.booleans())
    input = torch.randn(shape)
    try:
        one = torch.randn(2, *shape[-int(name[-2]) :], requires_grad=True)
        refused = getattr(torch.nn.functional, name)(one, **options).isinf().any()  # the maximum of padding alone
    except RuntimeError:
        refused = True
    if refused:
        with pytest.raises(ValueError, match=name):
            getattr(F, name)(input, **options)
    else:
        same_as_torch(name, input, **options)


def test_a_maximum_of_padding_alone_is_refused():
    """Torch gives it an index outside of the input, and writes its gradient there."""
    input, options = torch.randn(2, 1), {"kernel_size": 2, "padding": 1, "dilation": 2}
    assert torch.nn.functional.max_pool1d(input, **options, return_indices=True)[0].isinf().all()
    with pytest.raises(ValueError, match=r"max_pool1d: input is \(2, 1\), expected an entry of it in each window"):
        F.max_pool1d(input, **options)


sizes = st.none() | st.integers(1, 7)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([(2,), (0, 2), (3, 2)]), st.integers(1, 7), st.integers(1, 7), st.tuples(sizes, sizes))
def test_adaptive_average_equals_torch_for_any_size(leading, height, width, output_size):
    same_as_torch("adaptive_avg_pool2d", torch.randn(*leading, height, width), output_size=output_size)


@pytest.mark.parametrize(
    ("name", "arguments", "input"),
    [
        ("MaxPool1d", {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 2, "ceil_mode": True}, SIGNAL),
        ("MaxPool2d", {"kernel_size": (3, 2), "stride": 2, "padding": 1, "return_indices": True}, IMAGE),
        ("AvgPool1d", {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}, SIGNAL),
        ("AvgPool2d", {"kernel_size": 3, "padding": (1, 0), "divisor_override": 5}, IMAGE),
        ("AdaptiveAvgPool2d", {"output_size": (None, 3)}, IMAGE),
    ],
)
def test_layers_equal_torchs(name, arguments, input):
    ours, theirs = (getattr(module, name)(**arguments) for module in (nn, torch.nn))
    input = torch.randn(input.shape)
    assert_close(ours(input), theirs(input))
    assert repr(ours) == repr(theirs)
