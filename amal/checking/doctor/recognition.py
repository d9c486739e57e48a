"""Which definition do the values follow? Only then can a derivative be right or wrong."""

import ast
import inspect
import linecache
import re
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from .definitions import Definition, Draw
from .hypotheses import same, worst_entry
from .specimen import Arguments, Raised, Specimen
from .subject import Found, Subject, cast, differentiated, random_like

SEED = 0


def recognised(
    specimen: Specimen, definitions: Sequence[Definition]
) -> tuple[Definition | None, Arguments, torch.dtype]:
    """Return the definition that the values follow, None if none, with arguments for it and a dtype that runs.

    Raises:
        Raised: forward runs with the arguments of no definition.
    """
    row_bias = _says_row_bias(specimen.function)
    ordered = sorted(definitions, key=lambda of: of.asked != row_bias)
    drawn = [(of, of.draw(Draw(SEED))) for of in ordered]
    fitting = [(of, arguments) for of, arguments in drawn if specimen.takes(len(arguments))]
    if not fitting:
        wanted = " or ".join(map(str, sorted({len(arguments) for _, arguments in drawn})))
        error = TypeError(f"it takes ({', '.join(specimen.names)}), and the operation has {wanted} inputs")
        raise Raised("forward", error)
    errors: list[Raised] = []
    runs: list[tuple[bool, Arguments, torch.dtype]] = []
    for definition, arguments in fitting:
        if definition.asked and not row_bias and runs:
            continue  # it could not be told from what has run already
        expected = definition.reference(*arguments)
        for dtype in (torch.float64, torch.float32):
            try:
                actual = specimen.value(cast(arguments, dtype))
            except Raised as error:
                errors.append(error)
                continue
            if same(actual, expected, 1e-6 if actual.dtype == torch.float64 else 1e-4):
                # in float64, with the errors of float32: it was computed in float32 in between
                rounded = not same(actual, expected, 1e-10)
                precision = torch.float32 if rounded else actual.dtype
                return definition, cast(arguments, precision), precision
            runs.append((actual.shape == expected.shape, cast(arguments, dtype), dtype))
            break
    if not runs:
        raise errors[0]
    _, arguments, dtype = next((of for of in runs if of[0]), runs[0])
    return None, arguments, dtype


def _says_row_bias(function: type[Any]) -> bool:
    """Whether the class says that its bias is (1, p), as the sheet does on paper; values cannot tell.

    `b (1, p)` in a comment or docstring of the class does, so does `(1, out)` of whatever, and `b.shape[1]` in code.
    """
    methods = (function, function.forward, function.backward)
    source = "\n".join([_source(function), *(of.__doc__ or "" for of in methods)])
    bias = r"\b(?:b|bias|biais|beta)\b"
    shape = r"\W{0,12}(?:(?:shape|size|dim\w*|is|of|has|a|row)\W+){0,4}\(?\[?\s*1\s*[,x×]\s*\w"
    anywhere = r"[(\[]\s*1\s*,\s*(?:p|m|out|d_out|n_out|out_features|outputs?)\s*[)\]]"
    return any(re.search(of, source) for of in (bias + shape, anywhere, bias + r"\.(?:shape\[1\]|size\(1\))"))


def _source(function: type[Any]) -> str:
    """Return the source of a class and the comment above it, from the file or cell that its forward was read from.

    The module's own file is not asked for: a notebook and a prompt have none, and what `exec` made is not in it.
    Nothing where only the docstrings are known.
    """
    code = getattr(inspect.unwrap(function.forward), "__code__", None)
    lines = linecache.getlines(code.co_filename) if code else []
    try:
        nodes = list(ast.walk(ast.parse("".join(lines))))
    except SyntaxError:
        return ""
    classes = [of for of in nodes if isinstance(of, ast.ClassDef) and of.name == function.__name__]
    for of in classes:
        if of.end_lineno and of.lineno <= code.co_firstlineno <= of.end_lineno:  # type: ignore[union-attr]
            first = min([of.lineno, *(decorator.lineno for decorator in of.decorator_list)]) - 1
            while first and lines[first - 1].lstrip().startswith("#"):
                first -= 1
            return "".join(lines[first : of.end_lineno])
    return ""


def of_value(subject: Subject) -> Iterator[Found]:
    """Yield that forward does not compute the operation, if it does not."""
    actual = subject.specimen.value(subject.arguments)
    if not same(subject.specimen.value(subject.arguments), actual) and torch.isfinite(actual).all():
        yield Found("forward-value", "forward gives another value at each call, for the same inputs")
        return
    nearest = None
    for definition in [subject.definition] if subject.definition else subject.operation.definitions:
        arguments = subject.arguments if subject.given else cast(definition.draw(Draw(SEED)), subject.dtype)
        if len(arguments) != len(subject.arguments):
            continue
        try:
            actual = subject.specimen.value(arguments).double()
            expected = definition.reference(*cast(arguments, torch.float64))
        except (Raised, RuntimeError):
            continue
        if same(actual, expected, subject.tolerance.at_least(1e-6)):
            return
        if nearest is None or (nearest[0].shape != nearest[1].shape and actual.shape == expected.shape):
            nearest = actual, expected, definition
    if nearest is not None:
        yield _difference(*nearest)


def _difference(actual: Tensor, expected: Tensor, definition: Definition) -> Found:
    says = f"({definition.says})"
    if actual.shape != expected.shape:
        shapes = f"{tuple(actual.shape)}, and the definition {says} has {tuple(expected.shape)}"
        return Found("forward-value", f"forward returns shape {shapes}")
    if not torch.isfinite(actual).all():
        return Found("forward-value", f"forward is not finite for ordinary inputs; the definition {says} is")
    ratio = float((actual * expected).sum() / (expected * expected).sum())
    if same(actual, ratio * expected) and ratio:
        return Found("forward-value", f"forward gives {ratio:.4g} times the value of the definition {says}")
    worst = worst_entry(actual, expected, ("forward gives", "the definition"))
    return Found("forward-value", f"forward does not give the value of the definition {says}", worst=worst)


def right_for_another(subject: Subject) -> bool:
    """Whether backward is the derivative of a definition, so that only the value is wrong."""
    try:
        call = subject.specimen(subject.arguments, subject.variables)
        grad_output = random_like(call.output, 1)
        returned = call.backward(grad_output)
        for definition in subject.operation.definitions:
            try:
                output, wanted = differentiated(definition, subject.arguments, subject.variables, grad_output)
            except (RuntimeError, TypeError, ValueError, IndexError):
                continue
            pairs = [(returned[p], wanted[p]) for p in subject.variables if p < min(len(returned), len(wanted))]
            if (
                output.shape == call.output.shape
                and pairs
                and all(
                    isinstance(a, Tensor) and isinstance(b, Tensor) and same(a, b, subject.tolerance) for a, b in pairs
                )
            ):
                return True
    except (Raised, AttributeError):
        pass
    return False
