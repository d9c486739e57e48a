"""The transforms of torch.func, each as something to do with an operation on a case's inputs."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

from .cases import Case, present_tensors, random_like

Operation = Callable[..., Tensor]


def list_transforms(case: Case) -> dict[str, Callable[[Operation], Any]]:
    """Name each transform of torch.func, as something to do with an operation on this case's inputs."""
    inputs = case.inputs(requires_grad=False)
    present = [index for index, tensor in enumerate(inputs) if tensor is not None]
    tensors = present_tensors(inputs)
    everyone = tuple(range(len(tensors)))
    tangents = tuple(random_like(tensor, 2) for tensor in tensors)
    stacked = tuple(torch.stack([tensor, 2 * tensor, -tensor]) for tensor in tensors)
    first_only = (0,) + (None,) * (len(tensors) - 1)

    def on_present(operation: Operation) -> Operation:
        def call(*tensors: Tensor) -> Tensor:
            arguments: list[Tensor | None] = [None] * len(inputs)
            for index, tensor in zip(present, tensors, strict=True):
                arguments[index] = tensor
            return operation(*arguments)

        return call

    def scalar(operation: Operation) -> Operation:
        return lambda *tensors: on_present(operation)(*tensors).square().sum()

    def ones_vjp(operation: Operation) -> Any:
        output, *pull_back = vjp(on_present(operation), *tensors)
        return pull_back[0](torch.ones_like(output))

    transforms: dict[str, Callable[[Operation], Any]] = {
        "grad": lambda f: grad(scalar(f), everyone)(*tensors),
        "vjp": ones_vjp,
        "jvp": lambda f: jvp(on_present(f), tensors, tangents),
        "vmap": lambda f: vmap(on_present(f))(*stacked),
        "vmap over the first": lambda f: vmap(on_present(f), first_only)(stacked[0], *tensors[1:]),
        "vmap of grad": lambda f: vmap(grad(scalar(f), everyone))(*stacked),
        "grad of vmap": lambda f: grad(lambda first: vmap(scalar(f), first_only)(first, *tensors[1:]).sum())(
            stacked[0]
        ),
        "jacrev": lambda f: jacrev(on_present(f), everyone)(*tensors),
        "jacfwd": lambda f: jacfwd(on_present(f), everyone)(*tensors),
        "grad of grad": lambda f: grad(lambda x: grad(scalar(f))(x, *tensors[1:]).square().sum())(tensors[0]),
    }
    if all(tensor.numel() for tensor in tensors):  # torch.func.hessian itself fails on an empty input
        transforms["hessian"] = lambda f: hessian(scalar(f), everyone)(*tensors)
        transforms["jacfwd of jacfwd"] = lambda f: jacfwd(jacfwd(scalar(f), everyone), everyone)(*tensors)
    return transforms
