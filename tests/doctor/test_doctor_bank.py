"""The bank on which the doctor is tried, proven without the doctor: right ones are right, wrong ones are not."""

import inspect

import pytest
import torch
from doctor_bank.behaviour import apply, differences, grad_output_like, observe, probes, raw_gradients, seen_at
from doctor_bank.calls import CALLS
from doctor_bank.forms import as_new_form
from doctor_bank.table import (
    ALL_RIGHT,
    ALL_WRONG,
    FLOAT32,
    FORMULAS,
    OTHER_WRONG,
    REFUSE_SECOND,
    RIGHT,
    RIGHT_CLASSES,
    RIGHT_FORMULAS,
    WRONG_CLASSES,
    load,
    params,
)

from amal.course.mutants import MUTANTS, SOLUTIONS


def dtype_of(entry):
    return torch.float32 if entry.name in FLOAT32 else torch.float64


@pytest.mark.parametrize("entry", params(RIGHT_CLASSES))
@pytest.mark.parametrize("n", [5, 1, 0])
def test_right_ones_give_what_torch_gives(entry, n):
    call, dtype = CALLS[entry.kind], dtype_of(entry)
    arguments = call.draw(n)
    if n == 0 and CALLS[entry.kind].reference(*call.draw(5)).dim() == 0:
        pytest.skip("a mean of nothing is not a number")
    if n == 1 and entry.operation == "batch_norm":
        pytest.skip("torch refuses to normalise a batch of one")
    theirs = [x.clone().requires_grad_() if i in call.variables else x for i, x in enumerate(arguments)]
    expected = call.reference(*theirs)
    output, _ = apply(entry.function, arguments, call.variables, dtype)
    torch.testing.assert_close(output, expected.to(dtype))
    gradients = raw_gradients(output, grad_output_like(output))
    right = torch.autograd.grad(expected, [theirs[i] for i in call.variables], grad_output_like(expected))
    for i, gradient in zip(call.variables, right, strict=True):
        assert gradients[i].dtype == dtype
        torch.testing.assert_close(gradients[i], gradient.to(dtype))  # the shape too


@pytest.mark.one_in(2)
@pytest.mark.parametrize("entry", params(RIGHT_CLASSES))
def test_right_ones_have_right_first_and_second_derivatives(entry):
    if entry.name in FLOAT32:
        pytest.skip("a step in float32 measures nothing")
    call = CALLS[entry.kind]
    arguments = [x.requires_grad_(i in call.variables) for i, x in enumerate(call.draw(3))]
    assert torch.autograd.gradcheck(entry.function.apply, arguments)
    if entry.name in REFUSE_SECOND:
        output = entry.function.apply(*arguments)
        grad_output = grad_output_like(output).requires_grad_()
        first = torch.autograd.grad(output, [arguments[i] for i in call.variables], grad_output, create_graph=True)
        with pytest.raises(RuntimeError, match=r"differentiate twice|modified by an inplace operation"):
            sum(x.sum() for x in first).backward()
    else:
        assert torch.autograd.gradgradcheck(entry.function.apply, arguments)


@pytest.mark.parametrize("entry", params(RIGHT_CLASSES))
def test_right_ones_take_other_layouts_and_some_gradients_alone(entry):
    call, dtype = CALLS[entry.kind], dtype_of(entry)
    arguments = call.draw(5)
    output, _ = apply(entry.function, arguments, call.variables, dtype)
    expected = raw_gradients(output, grad_output_like(output))
    turned = [x.mT.contiguous().mT if torch.is_tensor(x) and x.dim() > 1 else x for x in arguments]
    for inputs, needing in ((turned, call.variables), *((arguments, (i,)) for i in call.variables)):
        output, _ = apply(entry.function, inputs, needing, dtype)
        gradients = raw_gradients(output, grad_output_like(output))
        for i in needing:
            torch.testing.assert_close(gradients[i], expected[i])


@pytest.mark.parametrize("entry", params(RIGHT_CLASSES))
def test_right_ones_stay_finite_far_out(entry):
    call = CALLS[entry.kind]
    arguments = probes(entry.kind, call)["large"]
    output, _ = apply(entry.function, arguments, call.variables, dtype_of(entry))
    gradients = raw_gradients(output, torch.ones_like(output))
    assert torch.isfinite(output).all()
    assert all(torch.isfinite(gradients[i]).all() for i in call.variables)


RIGHT_BEHAVIOUR = {}


def behaviour_of_right(entry):
    base = entry.name.split()[0]
    if base not in RIGHT_BEHAVIOUR:
        right = next(entry for entry in RIGHT_CLASSES if entry.name == base)
        RIGHT_BEHAVIOUR[base] = observe(right.function, right.kind)
    return RIGHT_BEHAVIOUR[base]


@pytest.mark.one_in(2)
@pytest.mark.parametrize("entry", params(WRONG_CLASSES))
def test_wrong_ones_behave_differently(entry):
    if "wrong-flag" in entry.name:
        call = CALLS[entry.kind]
        output, _ = apply(entry.function, call.draw(5), (1,) if "bias" not in entry.name else (0, 2))
        assert raw_gradients(output, grad_output_like(output))[1 if "bias" not in entry.name else 2] is None
        return
    assert differences(behaviour_of_right(entry), observe(entry.function, entry.kind))


@pytest.mark.parametrize("operation", SOLUTIONS)
def test_right_ones_of_both_forms_behave_alike(operation):
    """So that differences are not seen where there are none."""
    right = {
        entry.name: observe(entry.function, entry.kind)
        for entry in RIGHT_CLASSES
        if entry.name.split(",")[0] == operation
    }
    assert not differences(*right.values())


@pytest.mark.one_in(2)
@pytest.mark.parametrize("entry", RIGHT_FORMULAS, ids=lambda entry: entry.name)
def test_right_formulas_are_right(entry):
    """Value and gradients are torch's, whatever the batch and layout; so is the second derivative."""
    call = entry.call
    for n in (5, 1):
        arguments = call.draw(n)
        theirs = [x.clone().requires_grad_() if i in call.variables else x for i, x in enumerate(arguments)]
        expected, (outputs, _) = call.reference(*theirs), apply(entry.function, arguments, call.variables)
        expected, outputs = (x if isinstance(x, tuple) else (x,) for x in (expected, outputs))
        close = {"rtol": 1e-6, "atol": 1e-6} if entry.name in FLOAT32 else {}
        torch.testing.assert_close(outputs, expected, **close)
        weights = [grad_output_like(x) for x in outputs]
        right = torch.autograd.grad(expected, [theirs[i] for i in call.variables], weights)
        turned = [x.mT.contiguous().mT if torch.is_tensor(x) and x.dim() > 1 else x for x in arguments]
        for inputs in (arguments, turned):
            outputs, _ = apply(entry.function, inputs, call.variables)
            outputs = outputs if isinstance(outputs, tuple) else (outputs,)
            with torch.no_grad():
                returned = outputs[0].grad_fn.apply(*weights)
            gradients = returned if isinstance(returned, tuple) else (returned,)
            for i, gradient in zip(call.variables, right, strict=True):
                torch.testing.assert_close(gradients[i], gradient, **close)
    if entry.name not in FLOAT32:
        arguments = [
            x.requires_grad_(i in call.variables) if torch.is_tensor(x) else x for i, x in enumerate(call.draw(2))
        ]
        assert torch.autograd.gradcheck(entry.function.apply, arguments)
        assert torch.autograd.gradgradcheck(entry.function.apply, arguments)


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.name)
def test_wrong_formulas_behave_differently(formula):
    """Where it is said that they do."""
    right, call = load(formula.text(), f"{formula.name} right"), CALLS[formula.name]
    for entry in ALL_WRONG:
        if entry.name.startswith(f"{formula.name} formula "):
            behaviours = [seen_at(each, call, entry.where) for each in (right, entry.function)]
            assert differences(*behaviours), entry.name


def test_the_bank_is_large_enough():
    assert len(MUTANTS) >= 14
    assert len(ALL_WRONG) >= 500
    assert len(ALL_RIGHT) >= 180
    assert sum(map(len, RIGHT.values())) >= 45
    assert any("two faults" in mutant.description and len(mutant.codes) > 1 for mutant in MUTANTS["linear"])


def test_names_are_told_apart():
    for entries in (ALL_RIGHT, ALL_WRONG):
        names = [entry.name for entry in entries]
        assert len(names) == len(set(names))
    assert OTHER_WRONG.keys() <= {name for rows in RIGHT.values() for name in rows}


def test_every_function_of_the_right_files_is_in_the_table():
    for module, rows in RIGHT.items():
        defined = {
            n for n, each in vars(module).items() if inspect.isclass(each) and issubclass(each, torch.autograd.Function)
        }
        assert defined - {"Function", "TimesSlope"} == rows.keys()


def test_the_new_form_is_refused_to_what_needs_the_old():
    lines = ("class A:", " def forward(ctx, x):", "  e = x + 1", "  ctx.save_for_backward(e)", "  return e * x")
    with pytest.raises(ValueError, match="does not have e"):
        as_new_form("\n".join(lines))
