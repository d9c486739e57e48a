"""Convolution: what is said of wrong arguments, the corners of padding and shape, and any options against torch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

import amal.functional as F
from amal import nn

X, W, B = torch.zeros(2, 4, 5, 6), torch.zeros(6, 4, 3, 2), torch.zeros(6)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((X[:, :3], W), {}, ValueError, r"input is \(2, 3, 5, 6\) but weight \(6, 4, 3, 2\) expects 4 channels"),
        ((X, W), {"groups": 2}, ValueError, r"but weight \(6, 4, 3, 2\) with groups=2 expects 8 channels"),
        ((X, W[:5, :2]), {"groups": 2}, ValueError, r"weight is \(5, 2, 3, 2\), expected out to be a multiple of gr"),
        ((X, W), {"groups": 0}, ValueError, "groups is 0, expected at least 1"),
        ((X, W), {"groups": 1.0}, TypeError, "groups is 1.0, expected an integer"),
        ((X[0, 0], W), {}, ValueError, r"input is \(5, 6\), expected \(channels, height, width\) or \(batch, "),
        ((X[None], W), {}, ValueError, r"input is \(1, 2, 4, 5, 6\), expected \(channels, height, width\) or"),
        ((X, W[0]), {}, ValueError, r"weight is \(4, 3, 2\), expected \(out, in / groups, height, width\), none empty"),
        ((X, W[:, :, :0]), {}, ValueError, r"weight is \(6, 4, 0, 2\), expected .*, none empty"),
        ((X[:, :0], W[:, :0]), {}, ValueError, r"weight is \(6, 0, 3, 2\), expected .*, none empty"),
        ((X, W[:0]), {}, ValueError, r"weight is \(0, 4, 3, 2\), expected .*, none empty"),
        ((X, W, B[:5]), {}, ValueError, r"bias is \(5,\) but weight \(6, 4, 3, 2\) expects a bias \(6,\)"),
        ((X, W, B[None]), {}, ValueError, r"bias is \(1, 6\) but weight \(6, 4, 3, 2\) expects a bias \(6,\)"),
        ((X[..., :1], W), {}, ValueError, r"input is \(2, 4, 5, 1\) with padding 0 but weight .* expects at least 2"),
        ((X, W), {"dilation": 3}, ValueError, r"with dilation 3 expects at least 7 entries"),
        ((X[:, :, :0], W), {"padding": 3}, ValueError, r"input is \(2, 4, 0, 6\) with padding 3 but weight"),
        ((X, W), {"stride": 0}, ValueError, "stride is 0, expected at least 1"),
        ((X, W), {"stride": (1, 1, 1)}, ValueError, r"stride is \(1, 1, 1\), expected one number or 2, one per axis"),
        ((X, W), {"stride": 1.5}, TypeError, "stride is 1.5, expected integers"),
        ((X, W), {"stride": None}, TypeError, "stride is None, expected integers"),
        ((X, W), {"dilation": -1}, ValueError, "dilation is -1, expected at least 1"),
        ((X, W), {"padding": (0, -1)}, ValueError, r"padding is \(0, -1\), expected at least 0"),
        ((X, W), {"padding": "full"}, ValueError, "padding is 'full', expected 'same', 'valid' or numbers"),
        ((X, W), {"padding": "same", "stride": 2}, ValueError, r"padding is 'same' but stride \(2, 2\), expected a"),
        ((X.long(), W), {}, TypeError, "input is torch.int64, expected a floating-point tensor"),
        ((X, W.double()), {}, TypeError, "input is torch.float32 but weight is torch.float64, expected one dtype"),
        ((X, W, B.double()), {}, TypeError, "input is torch.float32 but bias is torch.float64, expected one dtype"),
        ((X, W.to("meta")), {}, ValueError, "input is on cpu but weight on meta, expected one device"),
        ((X, [1.0]), {}, TypeError, "weight is a list, expected a tensor"),
    ],
)
def test_conv2d_says_what_is_wrong(arguments, options, error, message):
    with pytest.raises(error, match=f"conv2d: .*{message}"):
        F.conv2d(*arguments, **options)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((X, W[..., 0]), {}, r"input is \(2, 4, 5, 6\), expected \(channels, length\) or \(batch, channels, length\)"),
        ((X[..., 0], W), {}, r"weight is \(6, 4, 3, 2\), expected \(out, in / groups, length\), none empty"),
        ((X[..., 0], W[..., 0]), {"stride": (1, 1)}, r"stride is \(1, 1\), expected one number or 1, one per axis"),
        ((X[:, :2, :, 0], W[..., 0]), {}, r"input is \(2, 2, 5\) but weight \(6, 4, 3\) expects 4 channels"),
    ],
)
def test_conv1d_says_what_is_wrong(arguments, options, message):
    with pytest.raises(ValueError, match=f"conv1d: {message}"):
        F.conv1d(*arguments, **options)


def same_as_torch(name, shapes, **options):
    """Value and gradients of ours and of torch's, in float64, for one random grad_output."""
    leaves = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    ours, theirs = (getattr(module, name)(*leaves, **options) for module in (F, torch.nn.functional))
    assert_close(ours, theirs)
    grad_output = torch.randn_like(theirs)
    gradients = [torch.autograd.grad(output, leaves, grad_output) for output in (ours, theirs)]
    assert_close(*gradients)


@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (3, 4)])
@pytest.mark.parametrize("dilation", [1, 2, (2, 3)])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_padding_in_words(kernel, dilation, padding):
    same_as_torch("conv2d", [(2, 3, 10, 11), (4, 3, *kernel), (4,)], padding=padding, dilation=dilation)


@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"groups": 2}])
def test_no_images_at_all(options):
    shapes = [(0, 4, 5, 4), (2, 4 // options.get("groups", 1), 3, 2), (2,)]
    same_as_torch("conv2d", shapes, **options)
    same_as_torch("conv1d", [shape[:3] for shape in shapes], **options)
    leaves = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    assert torch.autograd.gradgradcheck(lambda *leaves: F.conv2d(*leaves, **options), leaves)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_memory_format_is_torchs(memory_format):
    input, weight = torch.randn(2, 3, 8, 8).to(memory_format=memory_format), torch.randn(4, 3, 3, 3)
    ours, theirs = F.conv2d(input, weight), torch.nn.functional.conv2d(input, weight)
    assert ours.stride() == theirs.stride()


@st.composite
def convolutions(draw, axes):
    """The shapes of a convolution whose window fits, with its options."""

    def each(low, high):
        return draw(st.tuples(*[st.integers(low, high)] * axes))

    kernel, stride, dilation, padding = each(1, 3), each(1, 3), each(1, 2), each(0, 2)
    room = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilation, padding, strict=True)]
    size = [least + more for least, more in zip(room, each(0, 4), strict=True)]
    groups, inputs, outputs = (draw(st.integers(1, 3)) for _ in range(3))
    batch = draw(st.sampled_from([(), (1,), (3,)]))
    shapes = [(*batch, groups * inputs, *size), (groups * outputs, inputs, *kernel), (groups * outputs,)]
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return shapes[: draw(st.integers(2, 3))], options


@pytest.mark.parametrize("axes", [1, 2])
@settings(max_examples=100, deadline=None)
@given(st.data())
def test_convolution_equals_torch_for_any_options(axes, data):
    shapes, options = data.draw(convolutions(axes))
    same_as_torch(f"conv{axes}d", shapes, **options)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize(("name", "shape"), [("Conv1d", (2, 4, 7)), ("Conv2d", (2, 4, 7, 6))])
def test_layers_equal_torchs(mode, name, shape):
    layers = []
    for module in (nn, torch.nn):
        torch.manual_seed(0)
        layers.append(getattr(module, name)(4, 6, 3, stride=2, padding=1, groups=2, padding_mode=mode))
    ours, theirs = layers
    input = torch.randn(shape)
    assert_close(ours(input), theirs(input))
    assert repr(ours) == repr(theirs)
    theirs.load_state_dict(ours.state_dict())
