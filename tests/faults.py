"""Functions with one fault each, beyond the mistakes of TME 1: together they show that every property can fail."""

from dataclasses import replace

import torch
from torch.autograd import Function

from amal.checking import CASES, Case
from amal.functional import linear
from amal.ops import LinearFunction
from tme1._mistakes import MISTAKES

LINEAR = CASES[0]
assert LINEAR.name == "linear"


def planted(name, function):
    """The row of linear, with another Function behind it."""
    if isinstance(function, type) and issubclass(function, Function):
        return replace(LINEAR, name=name, operation=lambda input, weight, bias: function.apply(input, weight, bias))
    return replace(LINEAR, name=name, operation=function)


class ForwardSlightlyOff(LinearFunction):
    @staticmethod
    def forward(input, weight, bias):
        return 1.001 * LinearFunction.forward(input, weight, bias)


class AssumesContiguous(LinearFunction):
    @staticmethod
    def forward(input, weight, bias):
        raw = torch.as_strided(input, input.shape, (input.shape[1], 1))
        return LinearFunction.forward(raw, weight, bias)


class BackwardSlightlyOff(LinearFunction):
    @staticmethod
    def backward(ctx, grad_output):
        return tuple(1.001 * gradient for gradient in LinearFunction.backward(ctx, grad_output))


class WrongJvp(LinearFunction):
    @staticmethod
    def jvp(ctx, input_dot, weight_dot, bias_dot):
        return 1.001 * LinearFunction.jvp(ctx, input_dot, weight_dot, bias_dot)


class NoVmapRule(LinearFunction):
    generate_vmap_rule = False


class LooksAtValues(LinearFunction):
    @staticmethod
    def backward(ctx, grad_output):
        if not grad_output.any():  # a short-cut that no batch of grad_outputs can take together
            return tuple(torch.zeros_like(t) for t in (*ctx.saved_tensors, grad_output[0]))
        return LinearFunction.backward(ctx, grad_output)


class DoublePrecisionGradient(LinearFunction):
    @staticmethod
    def backward(ctx, grad_output):
        return tuple(gradient.double() for gradient in LinearFunction.backward(ctx, grad_output))


class InputChangedInPlace(LinearFunction):
    jvp = LinearFunction.jvp  # which calls the right forward

    @staticmethod
    def forward(input, weight, bias):
        return LinearFunction.forward(input.add_(0.1), weight, bias)


class TangentChangedInPlace(LinearFunction):
    @staticmethod
    def jvp(ctx, input_dot, weight_dot, bias_dot):
        return LinearFunction.jvp(ctx, input_dot.mul_(2), weight_dot, bias_dot)


class OutputKeptOnContext(LinearFunction):
    @staticmethod
    def setup_context(ctx, inputs, output):
        LinearFunction.setup_context(ctx, inputs, output)
        ctx.kept = [output]  # hidden in a list: only the reference cycle betrays it


class NeedsAllInputs(LinearFunction):
    @staticmethod
    def backward(ctx, grad_output):
        gradients = LinearFunction.backward(ctx, grad_output)
        return gradients if all(ctx.needs_input_grad) else tuple(g if g is None else 2 * g for g in gradients)


class WrongForAFirstLayer(LinearFunction):
    @staticmethod
    def backward(ctx, grad_output):
        gradients = LinearFunction.backward(ctx, grad_output)
        first_layer = ctx.needs_input_grad == (False, True, True)
        return tuple(g if g is None else 2 * g for g in gradients) if first_layer else gradients


class ZerosForNone(LinearFunction):
    @staticmethod
    def setup_context(ctx, inputs, output):
        LinearFunction.setup_context(ctx, inputs, output)
        ctx.set_materialize_grads(True)


class NoTangentForgotten(LinearFunction):
    @staticmethod
    def jvp(ctx, input_dot, weight_dot, bias_dot):
        output_dot = LinearFunction.jvp(ctx, input_dot, weight_dot, bias_dot)
        return output_dot if weight_dot is not None or input_dot is None else 2 * output_dot


class SharedContext(LinearFunction):
    @staticmethod
    def setup_context(ctx, inputs, output):
        LinearFunction.setup_context(ctx, inputs, output)
        SharedContext.latest = ctx.saved_for_forward

    @staticmethod
    def backward(ctx, grad_output):
        input, weight = SharedContext.latest
        return grad_output @ weight, grad_output.mT @ input, grad_output.sum(0)


class KeepsOutputToo(LinearFunction):
    @staticmethod
    def setup_context(ctx, inputs, output):
        LinearFunction.setup_context(ctx, inputs, output)
        ctx.save_for_backward(*inputs[:2], output)

    @staticmethod
    def backward(ctx, grad_output):
        input, weight, _ = ctx.saved_tensors
        return grad_output @ weight, grad_output.mT @ input, grad_output.sum(0)


class RoundedTwice(LinearFunction):
    @staticmethod
    def forward(input, weight, bias):
        return LinearFunction.forward(input, weight, bias) * (1 + 1e-6)


class OutputIsView(LinearFunction):
    @staticmethod
    def forward(input, weight, bias):
        return LinearFunction.forward(input, weight, bias).unsqueeze(0)[0]


class OutputKeptWithoutVersion(Function):
    """A sigmoid that keeps its output where autograd does not see it change."""

    @staticmethod
    def forward(input):
        return input.sigmoid()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.output = output

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * ctx.output.detach() * (1 - ctx.output.detach())


SIGMOID = Case("sigmoid that keeps its output on ctx", OutputKeptWithoutVersion.apply, torch.sigmoid, ((5, 3),))


def graph_break(input, weight, bias):
    if float(input.sum()) > 1e9:
        return input
    return linear(input, weight, bias)


def ignores_autocast(input, weight, bias):
    with torch.autocast("cpu", enabled=False):
        return linear(input, weight, bias)


def wrong_on_cuda(input, weight, bias):
    return linear(input, weight, bias) * (1.001 if input.is_cuda else 1)


OFF, JACOBIAN = "not close", "Jacobian mismatch"
FAULTS = (
    ("value", planted("forward off by 1.001", ForwardSlightlyOff), OFF),
    ("value", planted("assumes contiguous", AssumesContiguous), "strided inputs: .*not close"),
    ("gradient", planted("backward off by 1.001", BackwardSlightlyOff), OFF),
    ("gradient", planted("one context for all calls", SharedContext), OFF),
    ("gradcheck", planted("backward off by 1.001", BackwardSlightlyOff), JACOBIAN),
    ("gradcheck", MISTAKES["MissingFactor"], JACOBIAN),
    ("gradcheck", MISTAKES["SwappedSigns"], JACOBIAN),
    ("gradcheck", MISTAKES["SwappedOrder"], JACOBIAN),
    ("gradgradcheck", MISTAKES["DetachedBackward"], JACOBIAN),
    ("forward mode", planted("jvp off by 1.001", WrongJvp), "forward mode mismatch"),
    ("batched", planted("backward looks at the values", LooksAtValues), "While computing batched gradients"),
    ("torch.func", planted("no vmap rule", NoVmapRule), "does not have vmap support"),
    ("compile", planted("graph break", graph_break), "data-dependent"),
    ("compile", planted("not marked for torch.compile", LinearFunction), "jvp|should not be instantiated"),
    ("autocast", planted("ignores autocast", ignores_autocast), "float32 != torch.bfloat16"),
    ("meta", planted("looks at a value", graph_break), "meta"),
    (
        "error budget",
        planted("off by a millionth", RoundedTwice),
        r"largest error in torch.float32 is \S+ times torch's",
    ),
    (
        "saved bytes",
        planted("keeps its output for nothing", KeepsOutputToo),
        "bytes are kept for backward, where torch",
    ),
    ("exact shapes", MISTAKES["BiasNotSummed"], r"gradient of input 2 is \(\(4, 4\), .* expected \(\(4,\)"),
    ("exact shapes", MISTAKES["BiasDimensionKept"], r"gradient of input 2 is \(\(1, 4\), .* expected \(\(4,\)"),
    ("exact shapes", planted("float64 gradients", DoublePrecisionGradient), "float64.* expected .*float32"),
    ("exact shapes", planted("nothing written by hand", torch.nn.functional.linear), "no hand-written Function"),
    ("linear in grad_output", MISTAKES["IgnoredGradOutput"], OFF),
    ("linear in grad_output", MISTAKES["SquaredGradOutput"], OFF),
    ("some inputs alone", planted("wrong unless all inputs need a gradient", NeedsAllInputs), OFF),
    ("some inputs alone", planted("wrong for a first layer", WrongForAFirstLayer), OFF),
    ("None stays None", planted("zeros for None", ZerosForNone), r"is made, for the inputs \[0, 1, 2\]"),
    ("None stays None", planted("wrong if only the weight stands still", NoTangentForgotten), OFF),
    ("mutates nothing", MISTAKES["GradOutputInPlace"], "passed in was changed"),
    ("mutates nothing", planted("input changed in place", InputChangedInPlace), "passed in was changed"),
    ("mutates nothing", planted("tangent changed in place", TangentChangedInPlace), "passed in was changed"),
    ("keeps nothing", MISTAKES["TensorKeptOnContext"], "kept on ctx, not through save_for_backward: input"),
    ("keeps nothing", planted("output kept in a list on ctx", OutputKeptOnContext), "reference cycle"),
    ("output modifiable", planted("output is a view", OutputIsView), "modified inplace"),
    ("output modifiable", SIGMOID, "changed in place since"),
    ("CUDA", planted("wrong on CUDA", wrong_on_cuda), OFF),
)
"""Property, a fault that it must see, and what it must say of it: seen for the right reason."""
