"""What a Function does, as far as it can be seen without the doctor: two Functions are alike if this is."""

import gc
import weakref

import torch

from .calls import CALLS


def raw_gradients(output, grad_output):
    """What backward itself returns: the engine would sum it to the shape of the input, and cast it."""
    with torch.no_grad():
        returned = output.grad_fn.apply(grad_output)
    return returned if isinstance(returned, tuple) else (returned,)


def apply(function, arguments, variables, dtype=torch.float64):
    inputs = [
        x.to(dtype if x.is_floating_point() else x.dtype).clone().requires_grad_(i in variables)
        if torch.is_tensor(x)
        else x
        for i, x in enumerate(arguments)
    ]
    return function.apply(*inputs), inputs


def grad_output_like(output):
    generator = torch.Generator().manual_seed(5)
    return torch.randn(output.shape, generator=generator, dtype=torch.float64).to(output.dtype) + 0.3


def observe(function, kind):
    """Each thing to look at -> what it shows."""
    call = CALLS[kind]
    behaviour = {}
    for label, arguments in probes(kind, call).items():
        for what, look in (("value", values), ("second", second_derivatives)):
            behaviour.update(
                {f"{label} {what} {k}": v for k, v in look_at(look, function, arguments, call.variables).items()}
            )
    behaviour["kept"] = kept_tensors(function, call.draw(5), call.variables)
    return behaviour


def look_at(look, function, arguments, variables):
    try:
        return look(function, arguments, variables)
    except Exception as error:
        return {"raises": type(error).__name__}


def probes(kind, call):
    probes_by_name = {"usual": call.draw(5), "square": call.draw(len(call.draw(5)[0][0]))}
    first, *rest = call.draw(2)
    if kind in ("relu", "leaky_relu", "max_pool", "max_pool, images"):
        probes_by_name["at the kink"] = (torch.zeros_like(first), *rest)
    probes_by_name["large"] = (first * 1000, *rest)
    if kind.startswith("bce") and "logits" not in kind:
        probes_by_name["large"] = (first.round(), *rest)
    return probes_by_name


def values(function, arguments, variables):
    output, inputs = apply(function, arguments, variables)
    copies = [x.detach().clone() if torch.is_tensor(x) else x for x in arguments]
    grad_output = grad_output_like(output)
    copy = grad_output.clone()
    behaviour = {"output": output.detach().clone()}
    behaviour["inputs changed"] = any(
        torch.is_tensor(x) and not torch.equal(x.detach(), y) for x, y in zip(inputs, copies, strict=True)
    )
    for i, gradient in enumerate(raw_gradients(output, grad_output)):
        behaviour[f"gradient {i}"] = gradient
    behaviour["grad_output changed"] = not torch.equal(grad_output, copy)
    output, inputs = apply(function, arguments, variables)
    zero = raw_gradients(output, torch.zeros_like(output))
    behaviour["of zero"] = [torch.is_tensor(x) and bool(x.any()) for x in zero]
    return behaviour


def second_derivatives(function, arguments, variables):
    output, inputs = apply(function, arguments, variables)
    grad_output = grad_output_like(output).requires_grad_()
    needing = [inputs[i] for i in variables]
    first = torch.autograd.grad(output, needing, grad_output, create_graph=True, allow_unused=True)
    total = sum((x * grad_output_like(x)).sum() for x in first if x is not None)
    second = torch.autograd.grad(total, [*needing, grad_output], allow_unused=True)
    return {str(i): torch.zeros(()) if x is None else x for i, x in enumerate(second)}


def kept_tensors(function, arguments, variables):
    """Floating tensors that are attributes of ctx; and whether an output outlives its graph."""
    gc.disable()  # a reference cycle must not be swept up before we look
    try:
        output, inputs = apply(function, arguments, variables)
        names = [name for name, x in vars(output.grad_fn).items() if torch.is_tensor(x) and x.is_floating_point()]
        reference = weakref.ref(output)
        del output, inputs
        return names, reference() is not None
    finally:
        gc.enable()


def alike(one, other):
    if torch.is_tensor(one) and torch.is_tensor(other):
        return one.shape == other.shape and one.dtype == other.dtype and torch.allclose(one, other, 1e-9, 1e-12, True)
    if torch.is_tensor(one) or torch.is_tensor(other):
        return False
    return one == other


def differences(one, other):
    """What one shows and another does not, or not alike."""
    return {what for what in {*one, *other} if not (what in one and what in other and alike(one[what], other[what]))}


# ---------------------------------------------------------------------------------- formulas

ELSEWHERE = {
    "wide": lambda x: 4 * x,
    "far": lambda x: 25 * x,
    "large": lambda x: 1000 * x,
    "small": lambda x: 0.01 * x,
    "ends": lambda p: torch.where(p > 0.5, 1 - 0.01 * p, 0.01 * p),
    "zeros": lambda x: x * (torch.arange(len(x)) > 0),
    "deep": lambda x: torch.stack([x, 2 * x]),
}
"""Probe -> the first input there."""
OUTER = {
    "sum": lambda g: torch.ones((), dtype=g.dtype).expand_as(g),
    "loud": lambda g: 1000 * g,
    "balanced": lambda g: g - g.mean(),
    "undefined": lambda g: None,
}
"""Probe -> grad_output there."""


def seen_at(function, call, where):
    """What a formula shows at one probe: outputs, what backward returns, second or third derivatives."""
    n = {"many": 70, "square": 3}.get(where, 5)
    first, *rest = call.draw(n)
    arguments = (ELSEWHERE.get(where, lambda x: x)(first), *rest)
    outputs, _ = apply(function, arguments, call.variables)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    with torch.no_grad():
        returned = look_at(lambda *_: outputs[0].grad_fn.apply(*map(outer(where), outputs)), None, None, None)
    behaviour = {f"output {i}": x.detach() for i, x in enumerate(outputs)}
    if isinstance(returned, dict):  # it raised an exception
        return behaviour | returned
    several = returned if isinstance(returned, tuple | list) else (returned,)
    behaviour |= {f"gradient {i}": x for i, x in enumerate(several)} | {"list": isinstance(returned, list)}
    behaviour["shared"] = [x.data_ptr() for x in several if torch.is_tensor(x)][:2]
    behaviour["shared"] = len(behaviour["shared"]) == 2 and behaviour["shared"][0] == behaviour["shared"][1]
    if where in ("usual", "third"):
        order = 3 if where == "third" else 2
        behaviour |= look_at(
            lambda *_: higher_derivatives(function, arguments, call.variables, order), None, None, None
        )
    return behaviour


def outer(where):
    return lambda output: OUTER.get(where, lambda g: g)(grad_output_like(output))


def higher_derivatives(function, arguments, variables, order):
    outputs, inputs = apply(function, arguments, variables)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    needing = [inputs[i] for i in variables]
    total = sum((x * grad_output_like(x)).real.sum() for x in outputs)
    for _ in range(order):
        gradients = torch.autograd.grad(total, needing, create_graph=True, allow_unused=True)
        total = sum((x * grad_output_like(x)).real.sum() for x in gradients if x is not None)
        if not torch.is_tensor(total) or not total.requires_grad:
            break
    return {f"order {order}, {i}": torch.zeros(()) if x is None else x.detach() for i, x in enumerate(gradients)}
