"""Torch Functions as the checkers of other libraries want them: primitives of HIPS autograd and of jax.

Each is a primitive whose value torch computes, and whose derivative is what backward itself returns, which is a
primitive again, so that a second derivative can be asked for. They see each other's arrays as NumPy's.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from amal.graph.walk import function_nodes

Formula = Callable[..., Tensor]
"""Takes the variables as tensors, returns one tensor."""


def formula(entry: Any) -> tuple[Formula, list[np.ndarray], Sequence[int] | None]:
    """Return an entry of the bank as a function of its variables alone, their values, and their places.

    Several outputs are joined to one vector, and a complex number is a pair: what backward itself returns does not fit
    these any more, so that there are no places then, and torch's engine gives the gradient.
    """
    arguments, places = entry.call.draw(5), entry.call.variables
    first = entry.function.apply(*arguments)
    plain = isinstance(first, Tensor) and not first.is_complex()

    def call(*values: Tensor) -> Tensor:
        given = {
            place: torch.view_as_complex(of) if arguments[place].is_complex() else of
            for place, of in zip(places, values, strict=True)
        }
        found = entry.function.apply(*(given.get(place, of) for place, of in enumerate(arguments)))
        if plain:
            return found  # type: ignore[no-any-return]
        parts = [torch.view_as_real(of) if of.is_complex() else of for of in as_tuple(found)]
        return torch.cat([of.flatten() for of in parts if of.is_floating_point()])

    values = [torch.view_as_real(of) if of.is_complex() else of for of in (arguments[place] for place in places)]
    return call, [of.numpy() for of in values], places if plain else None


def as_tuple(found: Any) -> tuple[Any, ...]:
    """Return what may be one value or several as a tuple."""
    return tuple(found) if isinstance(found, (tuple, list)) else (found,)


def pulled(call: Formula, places: Sequence[int], number: int, *values: Tensor) -> Tensor:
    """Return what backward returns for one of the variables, untouched by torch's engine, as part of a graph.

    Args:
        call: the function.
        places: of the variables among what backward returns gradients for.
        number: of the variable.
        values: the variables, then grad_output.
    """
    *inputs, grad_output = values
    output = call(*(of if of.requires_grad else of.detach().requires_grad_() for of in inputs))
    node = function_nodes(output)[0]
    returned = node.apply(grad_output)
    gradient = as_tuple(returned)[places[number]]
    return torch.zeros_like(inputs[number]) if gradient is None else gradient


def by_engine(call: Formula, number: int, *values: Tensor) -> Tensor:
    """Return the derivative of what is a derivative already, by torch's engine."""
    *inputs, grad_output = values
    inputs = [of if of.requires_grad else of.detach().requires_grad_() for of in inputs]
    (found,) = torch.autograd.grad(call(*inputs), inputs[number], grad_output, create_graph=True, allow_unused=True)
    return torch.zeros_like(inputs[number]) if found is None else found


def derivative(call: Formula, places: Sequence[int] | None, number: int) -> Formula:
    """Return the derivative by one variable: backward's own, or of a derivative, torch's engine's."""
    return partial(by_engine, call, number) if places is None else partial(pulled, call, places, number)


def value(call: Formula, *arrays: Any) -> np.ndarray:
    """Return the value of a function of tensors for arrays."""
    with torch.enable_grad():  # of backward, which is called as it would be under create_graph
        found: np.ndarray = call(*(torch.from_numpy(np.array(of)) for of in arrays)).detach().numpy()
    return found


def in_hips(call: Formula, places: Sequence[int] | None, count: int) -> Callable[..., Any]:
    """Return a primitive of HIPS autograd, of so many variables."""
    from autograd.extend import defvjp, primitive

    lifted: Callable[..., Any] = primitive(partial(value, call))

    def vjp(number: int) -> Callable[..., Any]:
        inner = derivative(call, places, number)
        return lambda _, *arrays: lambda grad: in_hips(inner, None, count + 1)(*arrays, grad)

    defvjp(lifted, *map(vjp, range(count)), argnums=range(count))
    return lifted


def in_jax(call: Formula, places: Sequence[int] | None, count: int, shape: Sequence[int]) -> Callable[..., Any]:
    """Return a function of jax with a derivative of its own, of so many variables, and the shape of its value."""
    import jax

    result = jax.ShapeDtypeStruct(tuple(shape), np.float64)

    @jax.custom_vjp
    def lifted(*arrays: Any) -> Any:
        return jax.pure_callback(partial(value, call), result, *arrays)

    def backward(arrays: Any, grad: Any) -> Any:
        inner = [in_jax(derivative(call, places, of), None, count + 1, arrays[of].shape) for of in range(count)]
        return tuple(one(*arrays, grad) for one in inner)

    lifted.defvjp(lambda *arrays: (lifted(*arrays), arrays), backward)
    return lifted


def in_library(entry: Any, name: str) -> tuple[Any, list[Tensor]]:
    """Return an entry of the bank as an operator of torch.library, with its tensors; its backward is registered."""
    arguments, variables = entry.call.draw(5), entry.call.variables
    tensors = [place for place, of in enumerate(arguments) if isinstance(of, Tensor)]

    def call(*values: Tensor) -> Any:
        given = dict(zip(tensors, values, strict=True))
        return entry.function.apply(*(given.get(place, of) for place, of in enumerate(arguments)))

    def fake(*values: Tensor) -> Any:
        found = [values[0].new_empty_strided(of.shape, of.stride(), dtype=of.dtype) for of in as_tuple(like)]
        return tuple(found) if isinstance(like, tuple) else found[0]

    values = [arguments[place].clone().requires_grad_(place in variables) for place in tensors]
    like = call(*values)
    names = ", ".join(f"Tensor x{place}" for place in tensors)
    returns = f"({', '.join('Tensor' for _ in like)})" if isinstance(like, tuple) else "Tensor"
    operator = torch.library.custom_op(
        f"bank::{name}", lambda *values: call(*values), mutates_args=(), schema=f"({names}) -> {returns}"
    )
    operator.register_fake(fake)

    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:  # noqa: ARG001
        ctx.save_for_backward(*inputs)

    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        with torch.enable_grad():
            saved = dict(zip(tensors, ctx.saved_tensors, strict=True))
            again = [of.detach().requires_grad_(place in variables) for place, of in saved.items()]
            outputs = as_tuple(call(*again))
            returned = as_tuple(function_nodes(outputs[0])[0].apply(*grad_outputs))
        return tuple(returned[place] if place in variables else None for place in tensors)

    operator.register_autograd(backward, setup_context=setup_context)
    return operator, values
