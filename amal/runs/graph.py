"""The graph of a model for TensorBoard, in which each hand-written operation stands under its own name.

torch's own `add_graph` shows every autograd Function as a `prim::PythonOp`, beside constants, lists and look-ups of
attributes. Here a node is an operation, a parameter, the input or the output, and lies in the box of its layer.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial, wraps
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from amal import _torch
from amal.training.evaluation import boxes

INPUT, OUTPUT = "input", "output"
ASCII = str.maketrans(
    {"ᵀ": "^T", "²": "^2", "−": "-", "∘": "*", "μ": "mu", "σ": "sigma", "Φ": "Phi", "θ": "theta", "ε": "eps", "∂": "d"}
)
"""What TensorBoard's card of a node shows, where it would show the bytes of other characters."""


def model_graph(model: nn.Module, input: Tensor) -> Any:
    """Return the operations that a model applies to an input, as TensorBoard's GraphDef; the model is left as it was.

    Args:
        model: called in evaluation mode.
        input: such as the model takes.
    """
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    was_training = model.training
    graph = _Recorder(model, input)
    model.eval()
    with torch.no_grad(), graph.interceptions(), graph:
        output = model(input)
    model.train(was_training)
    graph.add(OUTPUT, "output", graph.sources(output), output)
    return GraphDef(node=graph.nodes.values())


class _Recorder(TorchFunctionMode):
    """Writes down each operation of torch that is called, and each hand-written Function."""

    def __init__(self, model: nn.Module, input: Tensor) -> None:
        super().__init__()
        self.model = model
        self.parameters = {tensor: path for path, tensor in [*model.named_parameters(), *model.named_buffers()]}
        self.modules: list[str] = [""]
        """The paths of the modules that are being called, the innermost last."""
        self.names: dict[Tensor, str] = {}
        """Tensor -> the node that it comes from. A tensor that is kept has an identity that no other gets."""
        self.nodes: dict[str, Any] = {}
        self.is_inside = False
        """Whether a hand-written Function is being applied: what it calls is its own affair."""
        self.add(INPUT, "input", [], input)

    def interceptions(self) -> ExitStack:
        """Follow which modules are called, and which hand-written Functions, until the stack is closed."""

        def leave(*_: Any) -> None:
            self.modules.pop()

        stack = ExitStack()
        for path, module in self.model.named_modules():
            stack.enter_context(module.register_forward_pre_hook(lambda *_, path=path: self.modules.append(path)))
            stack.enter_context(module.register_forward_hook(leave))
        for function in _subclasses(torch.autograd.Function):
            own, forward = vars(function).get("forward"), function.forward  # `apply` may have been bound long ago
            function.forward = staticmethod(wraps(forward)(partial(self.forward, function, forward)))
            stack.callback(*(setattr, function, "forward", own) if own else (delattr, function, "forward"))
        return stack

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call an operation of torch, and write it down."""
        sources = [] if self.is_inside else self.sources((args, kwargs))
        output = function(*args, **(kwargs or {}))
        if sources:
            named = function.__self__ if function.__name__ == "__get__" else function  # x.T, or x.t()
            self.add_operation(named.__name__.removeprefix("__").removesuffix("__"), "torch", sources, output)
        return output

    def forward(self, function: type, forward: Callable[..., Any], *inputs: Any) -> Any:
        """Call the forward of a hand-written Function, and write it down."""
        if self.is_inside:
            return forward(*inputs)
        sources = self.sources(inputs)
        self.is_inside = True
        output = forward(*inputs)
        self.is_inside = False
        self.add_operation(function.__name__, "by hand", sources, output, _formula(function))
        return output

    def sources(self, arguments: Any) -> list[str]:
        """Return the nodes that tensors come from, those of others left out; a parameter gets its node here."""
        tensors = [leaf for leaf in _torch.leaves(arguments) if isinstance(leaf, Tensor)]
        for tensor in tensors:
            path = self.parameters.get(tensor)
            if path and tensor not in self.names:
                layer, _, attribute = path.rpartition(".")
                name = "/".join([*boxes(self.model, layer), attribute])
                self.add(name, "parameter", [], tensor, f"state_dict: {path}")
        return [self.names[tensor] for tensor in tensors if tensor in self.names]

    def add_operation(self, op: str, device: str, sources: list[str], output: Any, about: str = "") -> None:
        """Add an operation to the box of the layer that applies it."""
        if any(isinstance(leaf, Tensor) for leaf in _torch.leaves(output)):
            short = op.removesuffix("Function")  # TensorBoard cuts long names
            name = "/".join([*boxes(self.model, self.modules[-1]), short])
            self.add(name, op, sources, output, about, device)

    def add(self, name: str, op: str, sources: list[str], output: Any, about: str = "", device: str = "") -> None:
        """Add a node; one of a name that is taken gets a number."""
        from tensorboard.compat.proto.attr_value_pb2 import AttrValue
        from tensorboard.compat.proto.node_def_pb2 import NodeDef
        from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto

        others = sum(1 for existing in self.nodes if existing.split(" ")[0] == name)
        name = f"{name} ({others + 1})" if others else name
        outputs = [leaf for leaf in _torch.leaves(output) if isinstance(leaf, Tensor)]
        sizes = [[TensorShapeProto.Dim(size=size) for size in tensor.shape] for tensor in outputs]
        shapes = AttrValue.ListValue(shape=[TensorShapeProto(dim=dim) for dim in sizes])
        attributes = {"_output_shapes": AttrValue(list=shapes)}
        if about:
            attributes["about"] = AttrValue(s=about.encode("ascii", "replace"))
        self.nodes[name] = NodeDef(name=name, op=op, input=sources, device=device, attr=attributes)
        self.names |= dict.fromkeys(outputs, name)


def _subclasses(parent: Any) -> Iterator[Any]:
    for child in parent.__subclasses__():
        yield child
        yield from _subclasses(child)


def _formula(function: type) -> str:
    """Return the first line of what a hand-written Function says of itself."""
    documentation = inspect.getdoc(function)
    if documentation is None or documentation == inspect.getdoc(torch.autograd.Function):
        return ""
    return documentation.split("\n")[0].translate(ASCII)
