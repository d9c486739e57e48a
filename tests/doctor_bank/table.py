"""The bank: every Function in it, what it is meant to be, how it is called, and what is wrong with it."""

import inspect
import linecache
from dataclasses import dataclass

import pytest

from amal.course.mutants import MUTANTS, SOLUTIONS, class_of

from . import right_activations, right_layers, right_linear, right_losses
from .calls import CALLS, Call
from .forms import as_new_form
from .formulas_entrywise import ENTRYWISE
from .formulas_rows import ROWS
from .formulas_steep import STEEP
from .formulas_structures import STRUCTURES
from .variants import mutant

RIGHT = {
    right_linear: {
        "TorchLinear": ("linear", "torch linear"),
        "TorchLinearOldForm": ("linear", "torch linear"),
        "LinearRowBias": ("linear", "linear (1, p)"),
        "LinearAnyBias": ("linear", "linear"),
        "LinearNewForm": ("linear", "linear"),
        "LinearLoop": ("linear", "linear"),
        "LinearEinsum": ("linear", "linear"),
        "LinearOnce": ("linear", "linear"),
        "LinearNeedsInputGrad": ("linear", "linear"),
        "LinearSavesWhatItNeeds": ("linear", "linear"),
        "LinearFloat32Only": ("linear", "linear"),
        "LinearInFloat32": ("linear", "linear"),
        "LinearViews": ("linear", "linear"),
        "LinearColumnOfOnes": ("linear", "linear"),
        "LinearNoBias": ("linear", "linear without bias"),
        "LinearCustomVmap": ("linear", "linear"),
        "TorchHighway": ("highway", "torch highway"),
        "HighwayTanh": ("highway", "tanh highway"),
    },
    right_losses: {
        "MSESheet": ("mse", "mse, (1/q) sum"),
        "MSESum": ("mse", "mse, sum"),
        "MSENewForm": ("mse", "mse"),
        "MSENeedsInputGrad": ("mse", "mse"),
        "MSEDotProduct": ("mse", "mse"),
        "MSEReduction": ("mse", "mse"),
        "MSEOnce": ("mse", "mse"),
        "MSEInPlace": ("mse", "mse"),
        "BCEClamped": ("bce", "bce, constant target"),
        "BCESum": ("bce", "bce, sum"),
        "BCEWithLogitsLogAddExp": ("bce_with_logits", "bce_with_logits"),
        "BCEWithLogitsNewForm": ("bce_with_logits", "bce_with_logits, constant target"),
        "CrossEntropyOneHot": ("cross_entropy", "cross_entropy, one-hot"),
        "CrossEntropySum": ("cross_entropy", "cross_entropy, sum"),
        "CrossEntropyInPlace": ("cross_entropy", "cross_entropy"),
        "CrossEntropyNewForm": ("cross_entropy", "cross_entropy"),
        "NLLScatter": ("nll", "nll"),
        "NLLShapeOnly": ("nll", "nll"),
    },
    right_activations: {
        "TanhFromInput": ("tanh", "tanh"),
        "TanhCosh": ("tanh", "tanh"),
        "TanhExponentials": ("tanh", "tanh"),
        "TanhNewForm": ("tanh", "tanh"),
        "TanhCallsAnother": ("tanh", "tanh"),
        "SigmoidExponential": ("sigmoid", "sigmoid"),
        "SigmoidFromInput": ("sigmoid", "sigmoid"),
        "SigmoidByTanh": ("sigmoid", "sigmoid"),
        "SigmoidNewForm": ("sigmoid", "sigmoid"),
        "ReLUProduct": ("relu", "relu"),
        "ReLUFromOutput": ("relu", "relu"),
        "ReLUOfACopy": ("relu", "relu"),
        "ReLUSavesMask": ("relu", "relu"),
        "ReLUMaskOnCtx": ("relu", "relu"),
        "ReLUThreshold": ("relu", "relu"),
        "ReLUHeaviside": ("relu", "relu"),
        "LeakyReLUMaximum": ("leaky_relu", "leaky_relu"),
        "LeakyReLUFixed": ("leaky_relu", "leaky_relu"),
        "Softmax1": ("softmax", "softmax"),
        "SoftmaxJacobian": ("softmax", "softmax"),
        "SoftmaxLoop": ("softmax", "softmax"),
        "SoftmaxDim": ("softmax", "softmax"),
        "LogSoftmaxFromInput": ("log_softmax", "log_softmax"),
        "LogSoftmaxNewForm": ("log_softmax", "log_softmax"),
    },
    right_layers: {
        "Conv1dTransposed": ("conv1d", "conv1d"),
        "Conv1dChannelsLast": ("conv1d", "conv1d, channels last"),
        "Conv1dLoops": ("conv1d", "conv1d without bias"),
        "Conv2dEinsum": ("conv2d", "conv2d"),
        "Conv2dPadding": ("conv2d", "conv2d"),
        "MaxPool1dIndices": ("max_pool", "max_pool"),
        "MaxPool2dWindows": ("max_pool", "max_pool, images"),
        "MaxPool1dShared": ("max_pool", "max_pool"),
        "MaxPool1dLast": ("max_pool", "max_pool"),
        "AvgPool2dRepeat": ("avg_pool", "avg_pool, images"),
        "AvgPool1dExpand": ("avg_pool", "avg_pool"),
        "BatchNormTorchNames": ("batch_norm", "batch_norm"),
        "BatchNormSteps": ("batch_norm", "batch_norm"),
        "LayerNormNewForm": ("layer_norm", "layer_norm"),
        "LayerNormPlain": ("layer_norm", "layer_norm, plain"),
    },
}
"""Right ones that are unusual -> the operation, and how they are called."""
REFUSE_SECOND = {"LinearOnce", "MSEOnce", "SigmoidByTanh", "CrossEntropyInPlace"}
FLOAT32 = {"LinearFloat32Only", "LinearInFloat32", "SingleSine formula", "SingleSine formula, new form"}

DEFINITIONS = {
    "linear bias-dimension-kept": "course",
    "TorchLinear bias-kept": "torch",
    "LinearRowBias dimension-lost": "row-bias",
}
"""Wrong one -> the definition by which it is: by another, of which the shape of its bias is, it is right."""

OTHER_WRONG = {
    "TorchLinear": (
        mutant("bias-not-summed", "not-summed", "", "grad_output.sum(0)", "grad_output"),
        mutant("bias-kept", "grad-shape", "", "grad_output.sum(0)", "grad_output.sum(0, keepdim=True)"),
        mutant("bias-mean", "grad-factor", "", "grad_output.sum(0)", "grad_output.mean(0)"),
        mutant("weight-not-transposed", "grad-transposed", "", "grad_output @ weight", "grad_output @ weight.T"),
        mutant("weight-gradient-transposed", "grad-transposed", "", "grad_output.T @ input", "input.T @ grad_output"),
        mutant("swapped", "grad-order", "", "return grad_input, grad_weight,", "return grad_weight, grad_input,"),
        mutant("sign", "grad-sign", "", "grad_output.T @ input", "-grad_output.T @ input"),
        mutant("double", "grad-factor", "", "grad_output.T @ input", "2 * grad_output.T @ input"),
        mutant("wrong-flag", "grad-missing", "", "if ctx.needs_input_grad[1]:", "if ctx.needs_input_grad[0]:"),
        mutant(
            "wrong-flag-of-bias", "grad-missing", "", "if ctx.needs_input_grad[2]:", "if not ctx.needs_input_grad[0]:"
        ),
        mutant(
            "two",
            "not-summed grad-sign",
            "",
            "grad_output.sum(0)",
            "grad_output",
            "grad_output @ weight",
            "-grad_output @ weight",
        ),
    ),
    "LinearRowBias": (
        mutant("bias-not-summed", "not-summed", "", "grad_output.sum(0, keepdim=True)", "grad_output"),
        mutant("dimension-lost", "grad-shape", "", ", keepdim=True", ""),
    ),
    "LinearLoop": (
        mutant(
            "overwritten", "not-summed grad-value", "", "grad_b = grad_b + grad_output[i]", "grad_b = grad_output[i]"
        ),
        mutant(
            "averaged",
            "grad-factor",
            "",
            "grad_b = grad_b + grad_output[i]",
            "grad_b = grad_b + grad_output[i] / len(x)",
        ),
    ),
    "TorchHighway": (
        mutant("transposed", "grad-transposed", "", "d_h @ weight_h", "d_h @ weight_h.T"),
        mutant("no-carry", "grad-value", "", "g * (1 - t) + d_h", "d_h"),
        mutant("not-summed", "not-summed", "", "d_t.sum(0)", "d_t"),
    ),
    "MSESheet": (
        mutant("mean", "grad-factor", "", "q = yhat.shape[0]", "q = yhat.numel()"),
        mutant("no-two", "grad-factor", "", "(2 / q)", "(1 / q)", "(-2 / q)", "(-1 / q)"),
        mutant("same-sign", "grad-sign", "", "(-2 / q)", "(2 / q)"),
        mutant(
            "ignored",
            "ignores-grad-output",
            "",
            "return (2 / q) * (yhat - y) * grad_output",
            "return (2 / q) * (yhat - y)",
        ),
        mutant("one-sign-and-no-two", "grad-sign grad-factor", "", "(2 / q)", "(-1 / q)", "(-2 / q)", "(1 / q)"),
    ),
    "MSESum": (
        mutant("mean", "grad-factor", "", "grad_output * 2 * (yhat - y)", "grad_output * 2 * (yhat - y) / len(y)"),
        mutant("same-sign", "grad-sign", "", "(y - yhat)", "(yhat - y)"),
    ),
    "MSENewForm": (
        mutant(
            "kept",
            "keeps-tensors",
            "",
            "ctx.save_for_backward(*inputs)",
            "ctx.yhat, ctx.y = inputs",
            "yhat, y = ctx.saved_tensors\n        grad",
            "yhat, y = ctx.yhat, ctx.y\n        grad",
        ),
        mutant("added", "nonlinear-in-grad-output", "", "2 * grad_output * (yhat", "grad_output + 2 * (yhat"),
    ),
    "CrossEntropyOneHot": (
        mutant("no-mean", "grad-factor", "", " / logits.shape[0]", ""),
        mutant("sign", "grad-sign", "", "(logits.softmax(1) - target)", "(target - logits.softmax(1))"),
        mutant("logits", "grad-value", "", "logits.softmax(1) - target", "logits - target"),
    ),
    "CrossEntropyInPlace": (
        mutant("unstable", "forward-unstable", "", "logits - logits.max(1, keepdim=True).values", "logits"),
        mutant("no-mean", "grad-factor", "", "        grad /= len(target)\n", ""),
        mutant(
            "kept-in-place", "second-order", "", "torch.softmax(logits, dim=1)", "torch.softmax(logits.data, dim=1)"
        ),
    ),
    "ReLUOfACopy": (
        mutant("in-place", "mutates-grad-output", "", "grad_output.clone()", "grad_output"),
        mutant("input-in-place", "mutates-input", "", "y = x.clone()", "y = x"),
        mutant("kink", "kink", "", "x <= 0] = 0", "x < 0] = 0\n        grad_input[x == 0] *= 2"),
    ),
    "TanhNewForm": (
        mutant("sign", "grad-value", "", "value=-1", "value=1"),
        mutant("input", "grad-value", "", "ctx.save_for_backward(output)", "ctx.save_for_backward(inputs[0])"),
    ),
    "SoftmaxLoop": (
        mutant("unstable", "forward-unstable", "", "row - row.max()", "row"),
        mutant("diagonal", "grad-value", "", "torch.diag(y[i]) - torch.outer(y[i], y[i])", "torch.diag(y[i])"),
    ),
    "Conv1dChannelsLast": (
        mutant("not-summed", "not-summed grad-shape", "", "grad_output.sum((0, 1))", "grad_output.sum(0)"),
        mutant("overwritten", "grad-value", "", "] += torch", "] = torch"),
        mutant("kernel-transposed", "grad-transposed grad-shape", "", "blck->kco", "blck->koc"),
    ),
    "Conv2dEinsum": (
        mutant("not-flipped", "grad-value", "", "W.flip(2, 3)", "W"),
        mutant("averaged", "grad-factor", "", ".sum((0, 2))", ".mean((0, 2))"),
    ),
    "MaxPool2dWindows": (
        mutant("smallest", "grad-value", "", "windows.argmax(-1)", "windows.argmin(-1)"),
        mutant("average", "grad-value", "", "(mask * grad_output", "(torch.ones_like(mask) / k**2 * grad_output"),
    ),
    "AvgPool2dRepeat": (
        mutant("divided-once", "grad-factor", "", "ctx.k**2", "ctx.k"),
        mutant("ignored", "ignores-grad-output", "", "grad_output / ctx", "torch.ones_like(grad_output) / ctx"),
    ),
    "BatchNormSteps": (
        mutant("mean-constant", "grad-value", "", "return dx1 - dx1.mean(0)", "return dx1"),
        mutant("variance-sign", "grad-value", "", "dvar = -0.5", "dvar = 0.5"),
        mutant("beta-not-summed", "not-summed", "", "dout.sum(0)", "dout"),
    ),
    "LayerNormNewForm": (
        mutant("gamma-not-summed", "not-summed", "", "(grad_output * normed).sum(leading)", "grad_output * normed"),
        mutant("no-gamma", "grad-value grad-factor", "", "g = grad_output * weight", "g = grad_output"),
    ),
}
"""Right one -> what makes it wrong, as in amal.course.mutants."""


@dataclass(frozen=True)
class Entry:
    name: str
    function: type
    operation: str | None
    """What the doctor knows it as; None to have it checked with its reference."""
    kind: str
    codes: tuple[str, ...] = ()
    where: str = "usual"
    """What must be looked at to see that it is wrong: a probe of behaviour.py."""

    @property
    def call(self):
        return CALLS[self.kind]

    @property
    def definition(self):
        return DEFINITIONS.get(self.name)


def load(source, name, space=None):
    """The Function that a text defines, whose lines tracebacks can show."""
    where = f"<{name}>"
    linecache.cache[where] = (len(source), None, source.splitlines(keepends=True), where)
    space = {"__name__": "student", **(space or {})}
    exec(compile(source, where, "exec"), space)
    return space[class_of("\n" + source)]


def right():
    for operation, source in SOLUTIONS.items():
        yield Entry(operation, load(source, operation), operation, operation)
        name = f"{operation}, new form"
        yield Entry(name, load(as_new_form(source), name), operation, operation)
    for module, rows in RIGHT.items():
        for name, (operation, kind) in rows.items():
            yield Entry(name, getattr(module, name), operation, kind)


def wrong():
    for operation, mutants in MUTANTS.items():
        for place, fault in enumerate(mutants):
            name, source = f"{operation} {fault.name}", fault.text
            yield Entry(name, load(source, name), operation, operation, fault.codes)
            if place % 3:
                continue
            try:
                new = as_new_form(source)
            except ValueError:  # it saves what only the old form has at hand
                continue
            yield Entry(f"{name}, new form", load(new, f"{name}, new form"), operation, operation, fault.codes)
    for module, rows in RIGHT.items():
        for base, (operation, kind) in rows.items():
            for fault in OTHER_WRONG.get(base, ()):
                name, source = f"{base} {fault.name}", fault.text(inspect.getsource(getattr(module, base)))
                yield Entry(name, load(source, name, vars(module)), operation, kind, fault.codes)


def formula_entries(formula, fault=None):
    """The entries of a formula, right or with a fault: both forms."""
    name = f"{formula.name} formula" + (f" {fault.name}" if fault else "")
    codes = tuple(fault.codes.split()) if fault else ()
    for label, source in ((name, formula.text(fault)), (f"{name}, new form", as_new_form(formula.text(fault)))):
        function = load(source, label)
        yield Entry(label, function, formula.operation, formula.name, codes, fault.where if fault else "usual")


FORMULAS = (*ENTRYWISE, *STEEP, *STRUCTURES, *ROWS)
CALLS.update({formula.name: Call(formula.reference, formula.draw, formula.variables) for formula in FORMULAS})
RIGHT_FORMULAS = tuple(entry for formula in FORMULAS if formula.right for entry in formula_entries(formula))
WRONG_FORMULAS = tuple(
    entry for formula in FORMULAS for fault in formula.wrong for entry in formula_entries(formula, fault)
)
RIGHT_CLASSES, WRONG_CLASSES = tuple(right()), tuple(wrong())
ALL_RIGHT, ALL_WRONG = (*RIGHT_CLASSES, *RIGHT_FORMULAS), (*WRONG_CLASSES, *WRONG_FORMULAS)


def params(entries):
    """Return a test's parameters: of what is wrong two of three are slow, of what is in the newer form four of five."""
    parameters, wrong, newer = [], 0, 0
    for entry in entries:
        new = "new form" in entry.name
        newer += new
        wrong += bool(entry.codes) and not new
        slow = newer % 5 if new else entry.codes and wrong % 3
        parameters.append(pytest.param(entry, id=entry.name, marks=[pytest.mark.slow] if slow else []))
    return parameters
