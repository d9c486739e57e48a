"""Which definition a Function follows, and which parameter of forward is which input: by names, values and shapes."""

import math

import pytest
import torch
from torch.autograd import Function
from torch.nn import functional

from amal.checking import examine
from amal.course.mutants import SOLUTIONS
from amal.doctor import definitions
from amal.doctor.definitions import Draw, all_operations, layers
from amal.doctor.definitions.names import NAMES


def function(forward, backward):
    """Return a Function of two plain functions."""
    return type("Examined", (Function,), {"forward": staticmethod(forward), "backward": staticmethod(backward)})


def errors(diagnosis):
    return [finding.code for finding in diagnosis.findings if finding.severity == "error"]


def test_every_argument_of_a_definition_with_roles_has_one():
    for operation in all_operations().values():
        for definition in operation.definitions:
            if definition.roles:
                assert len(definition.roles) == len(definition.draw(Draw(0))), (operation.name, definition.name)
                assert NAMES.keys() >= set(definition.roles)


def test_a_row_adds_an_operation(monkeypatch):
    """The one in the docstring of the definitions."""
    row = next(line.strip() for line in definitions.__doc__.splitlines() if line.strip().startswith("entrywise("))
    operation = eval(row, {**vars(layers), "functional": functional})
    monkeypatch.setattr(layers, "OPERATIONS", (*layers.OPERATIONS, operation))

    def softsign(ctx, x):
        ctx.save_for_backward(x)
        return x / (1 + x.abs())

    def gradient(ctx, g):
        (x,) = ctx.saved_tensors
        return g / (1 + x.abs()) ** 2

    assert examine(function(softsign, gradient), "softsign").verdict == "correct"
    assert errors(examine(function(softsign, lambda ctx, g: 2 * gradient(ctx, g)), "Softsign")) == ["grad-factor"]


# ---------------------------------------------------------------------------------- another order


def linear(ctx, W, x, b):
    ctx.save_for_backward(W, x)
    return x @ W + b


def linear_gradients(ctx, g):
    W, x = ctx.saved_tensors
    return x.T @ g, g @ W.T, g.sum(0)


def unnamed_linear(ctx, one, two, three):
    return linear(ctx, one, two, three)


def bce(ctx, y, z):
    ctx.save_for_backward(y, z)
    return (functional.softplus(z) - y * z).mean()


def bce_gradients(ctx, g):
    y, z = ctx.saved_tensors
    return None, g * (z.sigmoid() - y) / z.numel()


def cross_entropy(ctx, target, logits):
    ctx.save_for_backward(target, logits)
    return functional.cross_entropy(logits, target)


def cross_entropy_gradients(ctx, g):
    target, logits = ctx.saved_tensors
    return None, g * (logits.softmax(1) - functional.one_hot(target, logits.shape[1])) / len(logits)


def batch_norm(ctx, gamma, beta, x):
    mean, std = x.mean(0), (x.var(0, unbiased=False) + 1e-5).sqrt()
    ctx.save_for_backward(gamma, x, mean, std)
    return gamma * (x - mean) / std + beta


def batch_norm_gradients(ctx, g):
    gamma, x, mean, std = ctx.saved_tensors
    mean, std = x.mean(0), (x.var(0, unbiased=False) + 1e-5).sqrt()
    n, d = (x - mean) / std, g * gamma
    return (g * n).sum(0), g.sum(0), (d - d.mean(0) - n * (d * n).mean(0)) / std


def conv(ctx, kernel, image, bias):
    ctx.save_for_backward(kernel, image)
    return functional.conv2d(image, kernel, bias)


def conv_gradients(ctx, g):
    kernel, image = ctx.saved_tensors
    return torch.nn.grad.conv2d_weight(image, kernel.shape, g), functional.conv_transpose2d(g, kernel), g.sum((0, 2, 3))


def attention(ctx, values, keys, queries):
    ctx.save_for_backward(values, keys, queries)
    return torch.softmax(queries @ keys.T, 1) @ values


def attention_gradients(ctx, g):
    values, keys, queries = ctx.saved_tensors
    a = torch.softmax(queries @ keys.T, 1)
    d = g @ values.T
    s = a * (d - (a * d).sum(1, keepdim=True))
    return a.T @ g, s.T @ queries, s @ keys


IN_ANOTHER_ORDER = {
    "linear": (linear, linear_gradients, "(W, x, b)"),
    "linear, unnamed": (unnamed_linear, linear_gradients, "(one, two, three)"),
    "bce_with_logits": (bce, bce_gradients, "(y, z)"),
    "cross_entropy": (cross_entropy, cross_entropy_gradients, "(target, logits)"),
    "batch_norm": (batch_norm, batch_norm_gradients, "(gamma, beta, x)"),
    "conv2d": (conv, conv_gradients, "(kernel, image, bias)"),
    "attention": (attention, attention_gradients, "(values, keys, queries)"),
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", IN_ANOTHER_ORDER)
def test_inputs_may_come_in_another_order(name):
    forward, backward, order = IN_ANOTHER_ORDER[name]
    operation = name.split(",")[0]
    diagnosis = examine(function(forward, backward), operation)
    assert diagnosis.verdict == "correct", diagnosis
    assert order in diagnosis.definition

    def double(ctx, g):
        return tuple(each if each is None else 2 * each for each in backward(ctx, g))

    wrong = examine(function(forward, double), operation)
    assert set(errors(wrong)) == {"grad-factor"}, wrong
    assert order in wrong.definition


def test_extremes_and_results_are_asked_of_the_input_wherever_it_is():
    def unstable(ctx, target, logits):
        ctx.save_for_backward(target, logits)
        powers = logits.exp()
        return -(powers / powers.sum(1, keepdim=True)).gather(1, target[:, None]).log().mean()

    assert errors(examine(function(unstable, cross_entropy_gradients), "cross_entropy")) == ["forward-unstable"]


def test_what_the_names_say_is_not_overruled_by_values():
    def exchange(ctx, x, gamma, beta):
        return batch_norm(ctx, beta, gamma, x)

    def backward(ctx, g):
        by_beta, by_gamma, by_x = batch_norm_gradients(ctx, g)
        return by_x, by_gamma, by_beta

    assert errors(examine(function(exchange, backward), "batch_norm")) == ["forward-value"]

    def confuse(ctx, prediction, target):
        return bce(ctx, prediction, target)

    assert "forward-value" in errors(examine(function(confuse, bce_gradients), "bce_with_logits"))


def test_an_order_that_matters_by_definition_is_not_tried():
    quotient = function(lambda ctx, a, b: ctx.save_for_backward(a, b) or b / a, lambda ctx, g: (g, g))
    assert "forward-value" in errors(examine(quotient, "div"))


# ---------------------------------------------------------------------------------- more arguments


def torch_batch_norm(ctx, x, running_mean, running_var, weight, bias, training, momentum, eps):
    if training:
        mean, var = x.mean(0), x.var(0, unbiased=False)
        running_mean.mul_(1 - momentum).add_(momentum * mean)
        running_var.mul_(1 - momentum).add_(momentum * var)
    else:
        mean, var = running_mean, running_var
    ctx.save_for_backward(x, weight)
    ctx.eps = eps
    return weight * (x - mean) / torch.sqrt(var + eps) + bias


def torch_batch_norm_gradients(ctx, g):
    x, weight = ctx.saved_tensors
    s = 1 / torch.sqrt(x.var(0, unbiased=False) + ctx.eps)
    n, d = (x - x.mean(0)) * s, g * weight
    by_x = s * (d - d.mean(0) - n * (d * n).mean(0))
    return by_x, None, None, (g * n).sum(0), g.sum(0), None, None, None


def unnamed_batch_norm(ctx, a, rm, rv, c, d, e, f, h):
    return torch_batch_norm(ctx, a, rm, rv, c, d, e, f, h)


def default_batch_norm(
    ctx, x, weight, bias, running_mean=None, running_var=None, training=True, momentum=0.1, eps=1e-5
):
    ctx.save_for_backward(x, weight)
    ctx.eps = eps
    return weight * (x - x.mean(0)) / torch.sqrt(x.var(0, unbiased=False) + eps) + bias


def default_gradients(ctx, g):
    by_x, _, _, by_weight, by_bias, *rest = torch_batch_norm_gradients(ctx, g)
    return by_x, by_weight, by_bias, None, None, *rest


def late_batch_norm(ctx, x, running_mean=None, running_var=None, weight=None, bias=None, eps=1e-5):
    return torch_batch_norm(ctx, x, x.mean(0), x.var(0), weight, bias, True, 0.1, eps)


def torch_layer_norm(ctx, x, normalized_shape, weight, bias, eps):
    dims = tuple(range(-len(normalized_shape), 0))
    centred = x - x.mean(dims, keepdim=True)
    ctx.save_for_backward(x, weight)
    ctx.eps = eps
    return weight * centred / torch.sqrt((centred**2).mean(dims, keepdim=True) + eps) + bias


def layer_norm_gradients(ctx, g):
    x, weight = ctx.saved_tensors
    centred = x - x.mean(-1, keepdim=True)
    s = 1 / torch.sqrt((centred**2).mean(-1, keepdim=True) + ctx.eps)
    n, d = centred * s, g * weight
    by_x = s * (d - d.mean(-1, keepdim=True) - n * (d * n).mean(-1, keepdim=True))
    return by_x, None, (g * n).sum(0), g.sum(0), None


def torch_conv(ctx, input, weight, bias, stride, padding, dilation, groups):
    ctx.save_for_backward(input, weight)
    ctx.options = stride, padding, dilation, groups
    return functional.conv2d(input, weight, bias, stride, padding, dilation, groups)


def torch_conv_gradients(ctx, g):
    input, weight = ctx.saved_tensors
    by_input = torch.nn.grad.conv2d_input(input.shape, weight, g, *ctx.options)
    by_weight = torch.nn.grad.conv2d_weight(input, weight.shape, g, *ctx.options)
    return by_input, by_weight, g.sum((0, 2, 3)), None, None, None, None


def torch_cross_entropy(ctx, input, target, weight, size_average, ignore_index, reduce, reduction, label_smoothing):
    ctx.save_for_backward(target, input)
    return functional.cross_entropy(
        input, target, weight, size_average, ignore_index, reduce, reduction, label_smoothing
    )


def torch_cross_entropy_gradients(ctx, g):
    return cross_entropy_gradients(ctx, g)[1], *[None] * 7


def gelu(ctx, x, approximate):
    ctx.save_for_backward(x)
    return x / 2 * (1 + torch.erf(x / math.sqrt(2)))


def gelu_gradients(ctx, g):
    (x,) = ctx.saved_tensors
    slope = (1 + torch.erf(x / math.sqrt(2))) / 2 + x * torch.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return g * slope, None


def relu(ctx, x, inplace):
    ctx.save_for_backward(x)
    return x.relu_() if inplace else x.relu()


def relu_gradients(ctx, g):
    return g * (ctx.saved_tensors[0] > 0), None


MORE = {
    "batch_norm": (torch_batch_norm, torch_batch_norm_gradients),
    "batch_norm, unnamed": (unnamed_batch_norm, torch_batch_norm_gradients),
    "batch_norm, defaults": (default_batch_norm, default_gradients),
    "batch_norm, weight late": (late_batch_norm, lambda ctx, g: torch_batch_norm_gradients(ctx, g)[:6]),
    "layer_norm": (torch_layer_norm, layer_norm_gradients),
    "conv2d": (torch_conv, torch_conv_gradients),
    "cross_entropy": (torch_cross_entropy, torch_cross_entropy_gradients),
    "gelu": (gelu, gelu_gradients),
    "relu": (relu, relu_gradients),
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", MORE)
def test_more_arguments_are_told_by_name_and_default(name):
    forward, backward = MORE[name]
    operation = name.split(",")[0]
    diagnosis = examine(function(forward, backward), operation)
    assert errors(diagnosis) == [], diagnosis

    def double_last(ctx, g):
        returned = backward(ctx, g)
        last = max(place for place, each in enumerate(returned) if each is not None)
        return tuple(2 * each if place == last else each for place, each in enumerate(returned))

    assert errors(examine(function(forward, double_last), operation)) == ["grad-factor"]


@pytest.mark.parametrize(
    ("operation", "forward"),
    [
        ("gelu", lambda ctx, x, mode: x * mode["scale"]),
        ("tanh", lambda ctx, x, network: network(x)),
        ("batch_norm", lambda ctx, x, statistics, layer, network, head: x * layer.weight),
        ("mse", lambda ctx, x: x.square().mean()),
        ("softplus", lambda ctx, x, beta, sharpness: x),
    ],
)
def test_what_nobody_can_know_is_not_called_an_error(operation, forward):
    diagnosis = examine(function(forward, lambda ctx, g: g), operation)
    assert (diagnosis.verdict, errors(diagnosis)) == ("not examined", ["not-examined"])
    assert diagnosis.findings[0].message.startswith(f"Could not be examined as {operation}: forward takes (x")


def test_a_guess_that_does_not_fit_is_not_held_against_it():
    def scale(ctx, x, temperature):
        return (x / temperature / 2).tanh()

    assert examine(function(scale, lambda ctx, g: (g, None)), "tanh").verdict == "not examined"
    wrong = function(lambda ctx, x, approximate: x, gelu_gradients)
    assert "forward-value" in errors(examine(wrong, "gelu"))  # torch's own parameter: there is nothing to guess


def test_a_parameter_that_changes_something_is_given_and_not_filled_in():
    def deaf(ctx, input, weight, bias, stride, padding, dilation, groups):
        ctx.save_for_backward(input, weight)
        return functional.conv2d(input, weight, bias)

    assert "forward-value" in errors(examine(function(deaf, torch_conv_gradients), "conv2d"))


# ---------------------------------------------------------------------------------- vectors as rows


@pytest.mark.parametrize(("keepdim", "says"), [(True, "(1, p)"), (False, "scaled and shifted, eps 1e-05")])
def test_scale_and_shift_may_be_rows(keepdim, says):
    def forward(ctx, x, gamma, beta):
        return batch_norm(ctx, gamma, beta, x)

    def backward(ctx, g):
        by_gamma, by_beta, by_x = batch_norm_gradients(ctx, g)
        n = by_gamma.flatten(), by_beta.flatten()
        return by_x, *(each[None] if keepdim else each for each in n)

    def saved_flat(ctx, x, gamma, beta):
        return forward(ctx, x, gamma, beta)

    diagnosis = examine(function(saved_flat, backward), "batch_norm")
    assert diagnosis.verdict == "correct", diagnosis
    assert says in diagnosis.definition


# ---------------------------------------------------------------------------------- batches that mean nothing


def test_an_empty_batch_is_a_note_where_the_operation_means_nothing_on_it():
    def divides(ctx, x, gamma, beta):
        mean = 1 / len(x) * x.sum(0)
        ctx.save_for_backward(gamma, x, mean, mean)
        return gamma * (x - mean) / ((x - mean).square().sum(0) / len(x) + 1e-5).sqrt() + beta

    def gradients(ctx, g):
        by_gamma, by_beta, by_x = batch_norm_gradients(ctx, g)
        return by_x, by_gamma, by_beta

    diagnosis = examine(function(divides, gradients), "batch_norm")
    assert diagnosis.verdict == "correct", diagnosis
    (note,) = (finding.message for finding in diagnosis.findings if finding.code == "raises")
    assert note.startswith("For an empty batch, where it means nothing: forward raised ZeroDivisionError")

    def mean(ctx, x):
        ctx.shape = x.shape
        return x.sum() * (1 / x.numel())

    averaged = examine(function(mean, lambda ctx, g: g.expand(ctx.shape) / ctx.shape.numel()), "mean")
    assert averaged.verdict == "correct", averaged
    assert "For an empty batch" in str(averaged)


def test_an_empty_batch_is_no_note_where_the_operation_means_something():
    def tanh(ctx, x):
        y = x.tanh() * (len(x) / len(x))
        ctx.save_for_backward(y)
        return y

    diagnosis = examine(function(tanh, lambda ctx, g: g * (1 - ctx.saved_tensors[0] ** 2)), "tanh")
    assert (diagnosis.verdict, errors(diagnosis)) == ("wrong", ["raises-sometimes"])


def test_the_biases_of_a_highway_layer_may_be_rows():
    text = SOLUTIONS["highway"]
    space = {}
    exec(text.replace(".sum(0)", ".sum(0, keepdim=True)"), space)
    diagnosis = examine(space["Highway"], "highway")
    assert diagnosis.verdict == "correct", diagnosis
    assert "rows (1, p)" in diagnosis.definition
