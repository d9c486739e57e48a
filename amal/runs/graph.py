"""The graph of a model for TensorBoard, in which each hand-written operation stands under its own name.

torch's own `add_graph` shows every autograd Function as a `prim::PythonOp`, beside constants, lists and look-ups of
attributes. Here a node is an operation, a parameter, the input or the output, and lies in the layer that it is of.
"""

import inspect
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from amal.training.evaluation import boxes

INPUT, OUTPUT = "input", "output"
ASCII = str.maketrans(
    {"ᵀ": "^T", "²": "^2", "−": "-", "∘": "*", "μ": "mu", "σ": "sigma", "Φ": "Phi", "θ": "theta", "ε": "eps"}
)
"""What TensorBoard's card of a node shows, where it would show the bytes of other characters."""


def model_graph(model: nn.Module, input: Tensor) -> Any:
    """Return the operations that a model applies to an input, as TensorBoard's GraphDef; the model is left as it was.

    Args:
        model: traced in evaluation mode.
        input: such as the model takes.
    """
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    was_training = model.training
    model.eval()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch's tracer warns of itself
        graph = torch.jit.trace(model, input, strict=False, check_trace=False).graph  # type: ignore[no-untyped-call]
    model.train(was_training)
    torch._C._jit_pass_inline(graph)
    return GraphDef(node=_Reader(model, graph).nodes())


class _Reader:
    """Reads a traced graph, whose values have names of no meaning."""

    def __init__(self, model: nn.Module, graph: Any) -> None:
        self.model, self.graph = model, graph
        self.names: dict[str, str] = {}
        """Value of the trace -> the node that it comes from."""
        self.paths: dict[str, str] = {}
        """Value of the trace that is a module -> its path in the model."""
        self.found: dict[str, Any] = {}
        """Name -> node."""

    def nodes(self) -> list[Any]:
        """Return the nodes, in the order of the computation."""
        model, *inputs = self.graph.inputs()
        self.paths[model.debugName()] = ""
        for value in inputs:
            self.add(INPUT, "input", [], value)
        for node in self.graph.nodes():
            self.read(node)
        for value in self.graph.outputs():
            self.add(OUTPUT, "output", [value], value)
        return list(self.found.values())

    def read(self, node: Any) -> None:
        """Take up an operation or a parameter; pass over what only holds them together."""
        kind, value, inputs = node.kind(), next(node.outputs()), list(node.inputs())
        if kind == "prim::GetAttr":
            self.look_up(node.s("name"), self.paths[inputs[0].debugName()], value)
        elif kind == "prim::TupleUnpack":
            for output in node.outputs():
                self.names[output.debugName()] = self.names[inputs[0].debugName()]
        elif any(each.debugName() in self.names for each in inputs):
            by_hand = kind == "prim::PythonOp"
            op = node.pyname() if by_hand else kind.split("::")[-1]
            path = node.scopeName().split("/")[-1].removeprefix("__module").removeprefix(".")
            name = "/".join([*boxes(self.model, path), op.removesuffix("Function")])  # TensorBoard cuts long names
            self.add(name, op, inputs, value, _formula(node) if by_hand else "")
            self.found[self.names[value.debugName()]].device = "by hand" if by_hand else "torch"

    def look_up(self, attribute: str, of: str, value: Any) -> None:
        """Note which module an attribute is; a parameter becomes a node."""
        path = f"{of}.{attribute}".removeprefix(".")
        if value.type().kind() == "ClassType":
            self.paths[value.debugName()] = path
            return
        name = "/".join([*boxes(self.model, of), attribute])
        if name in self.found:
            self.names[value.debugName()] = name
        else:
            self.add(name, "parameter", [], value, f"state_dict: {path}")

    def add(self, name: str, op: str, inputs: list[Any], value: Any, about: str = "") -> None:
        """Add a node; one of a name that is taken gets a number."""
        from tensorboard.compat.proto.attr_value_pb2 import AttrValue
        from tensorboard.compat.proto.node_def_pb2 import NodeDef
        from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto

        others = sum(1 for taken in self.found if taken.split(" ")[0] == name)
        name = f"{name} ({others + 1})" if others else name
        node = NodeDef(name=name, op=op)
        node.input.extend(self.names[each.debugName()] for each in inputs if each.debugName() in self.names)
        if value.isCompleteTensor():
            sizes = [TensorShapeProto.Dim(size=size) for size in value.type().sizes()]
            shape = AttrValue.ListValue(shape=[TensorShapeProto(dim=sizes)])
            node.attr["_output_shapes"].CopyFrom(AttrValue(list=shape))
        if about:
            node.attr["about"].CopyFrom(AttrValue(s=about.encode("ascii", "replace")))
        self.found[name] = node
        self.names[value.debugName()] = name


def _formula(node: Any) -> str:
    """Return the first line of what a hand-written Function says of itself."""
    formula = (inspect.getdoc(node.pyobj().__self__) or "").split("\n")[0]
    return formula.translate(ASCII)
