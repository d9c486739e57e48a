"""What amal needs of torch that torch does not promise: a release that breaks a name is one red line, which says so."""

import ast
import inspect
import pkgutil
import re
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from amal import _torch

AMAL = Path(__file__).parent.parent / "amal"
SOURCES = {path: path.read_text() for path in sorted(AMAL.rglob("*.py"))}


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input):
        return 2 * input

    @staticmethod
    def backward(ctx, grad_output):
        return 2 * grad_output


class Listener(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input, gradients):
        ctx.set_materialize_grads(False)
        ctx.gradients = gradients
        return 2 * input

    @staticmethod
    def backward(ctx, grad_output):
        ctx.gradients.append(grad_output)
        return None, None


X = torch.tensor([1.0, 3.0])


def variable():
    return X.clone().requires_grad_()


def node_of_ours():
    return Twice.apply(variable()).grad_fn


def node_of_torch():
    return (variable() * X).grad_fn


# ---------------------------------------------------------------------------------- what each name must do


def transforms_active():
    return not _torch.transforms_active() and torch.func.vmap(lambda x: x * _torch.transforms_active())(X).equal(X)


def forward_levels():
    levels = [_torch.forward_levels()]

    def function(x):
        levels.append(_torch.forward_levels())
        return x * x

    torch.func.jacrev(torch.func.jacfwd(torch.func.jacfwd(function)))(X)
    return levels == [0, 2]


def forward_mode():
    inside = []

    class Moved(Twice):
        @staticmethod
        def jvp(ctx, tangent):
            with _torch.forward_mode():
                inside.append(torch._C._is_fwd_grad_enabled())
            inside.append(torch._C._is_fwd_grad_enabled())
            return 2 * tangent

    with torch.autograd.forward_ad.dual_level():
        Moved.apply(torch.autograd.forward_ad.make_dual(X, X))
    return inside == [True, False]


def unwrap():
    found = []
    torch.func.vmap(torch.func.vmap(lambda x: found.append(_torch.unwrap(x)) or x))(X.view(1, 2))
    return _torch.unwrap(X) is X and type(found[0]) is torch.Tensor and found[0].tolist() == [[1, 3]]


def operator_name():
    operator = torch.library.custom_op("amal::negated", lambda x: -x, mutates_args=(), schema="(Tensor x) -> Tensor")
    return _torch.operator_name(operator) == "amal::negated" and _torch.operator_name(X) is None


def any_autocast_enabled():
    with torch.autocast("cpu", torch.bfloat16):
        inside = _torch.any_autocast_enabled()
    return inside and not _torch.any_autocast_enabled()


def native_batch_norm():
    output, mean, rstd = _torch.native_batch_norm(X.view(2, 1), None, None, None, None, True, 0.1, 0.0)
    return (output.tolist(), mean.tolist(), rstd.tolist()) == ([[-1], [1]], [2], [1])


def native_layer_norm():
    output, mean, rstd = _torch.native_layer_norm(X.view(1, 2), (2,), None, None, 0.0)
    return (output.tolist(), mean.tolist(), rstd.tolist()) == ([[-1, 1]], [[2]], [[1]])


def safe_softmax():
    rows = torch.tensor([[0.0, 0.0], [-torch.inf, -torch.inf]])
    return _torch.safe_softmax(rows).tolist() == [[0.5, 0.5], [0, 0]]


def is_view():
    return _torch.is_view(X[:1]) and not _torch.is_view(X + 1)


FOREACH = {
    # operation: what follows a list of the number 4, and what comes of it
    "neg": ([], -4),
    "sqrt": ([], 2),
    "sqrt_": ([], 2),
    "add": ([2], 6),
    "add_": ([2], 6),
    "mul_": ([2], 8),
    "div_": ([[2]], 2),
    "maximum_": ([[5]], 5),
    "lerp_": ([[2], 0.5], 3),
    "addcmul_": ([[2], [3], 2], 16),
    "addcdiv_": ([[2], [4], 2], 5),
}


def foreach(operation):
    arguments, expected = FOREACH[operation]
    arguments = [[torch.tensor(float(n)) for n in each] if isinstance(each, list) else each for each in arguments]
    before = torch.tensor(4.0)
    [after] = _torch.foreach(operation, [before], *arguments)
    return after.item() == expected and (after is before) == operation.endswith("_")


def reversed_padding():
    layers = [nn.Conv1d(1, 1, 3, padding=2), nn.Conv2d(1, 1, (3, 4), padding="same")]
    return [list(_torch.reversed_padding(layer)) for layer in layers] == [[2, 2], [1, 2, 1, 1]]


def check_dimensions():
    _torch.check_dimensions(nn.BatchNorm2d(1), X.view(1, 1, 1, 2))
    try:
        _torch.check_dimensions(nn.BatchNorm2d(1), X.view(1, 1, 2))
    except ValueError:
        return True
    return False


def normalises_batches():
    layers = [nn.BatchNorm1d(1), nn.BatchNorm3d(1), nn.SyncBatchNorm(1), nn.LazyBatchNorm2d(), nn.LayerNorm(1)]
    return [_torch.normalises_batches(layer) for layer in layers] == [True, True, True, True, False]


def function_class():
    return _torch.function_class(node_of_ours()) is Twice and _torch.function_class(node_of_torch()) is None


def output_metadata():
    each = [(tuple(of.shape), of.dtype, of.device) for of in _torch.output_metadata(node_of_ours())]
    return each == [((2,), X.dtype, X.device)]


def saved_tensors():
    index = torch.tensor([1])
    [saved] = _torch.saved_tensors(node_of_torch())
    [inside] = _torch.saved_tensors(variable()[index].grad_fn)  # one of a tuple
    return saved.equal(X) and inside.equal(index)


def version():
    tensor = X.clone()
    before = _torch.version(tensor)
    return _torch.version(tensor.add_(1)) == before + 1


def undefined_gradient():
    gradients = []
    _torch.undefined_gradient(Listener.apply(variable(), gradients)).sum().backward()
    return gradients == [None]


def pull_back():
    leaf, apart = variable(), variable()
    output = leaf**3
    (gradient, nothing), (again, _) = (_torch.pull_back(output, X, (leaf, apart)) for _ in range(2))
    return gradient.tolist() == again.tolist() == [3, 81] and nothing is None


def leaves():
    return _torch.leaves(([1, {"a": 2}], "b", ())) == [1, 2, "b"]


def operations():
    traced = _torch.operations(lambda x: torch.func.vjp(torch.sin, x)[1](x)[0], (X,))
    names = [str(node.target) for node in traced.graph.nodes if node.op == "call_function"]
    return "aten.cos.default" in names and traced(X).allclose(X * X.cos())


def allow_in_graph():
    graphs = []

    def opaque(input):
        return torch.sin(input)

    def backend(graph, _):
        graphs.append(graph.graph)
        return graph

    _torch.allow_in_graph(opaque)
    torch.compile(lambda input: opaque(input), backend=backend)(X)
    [graph] = graphs
    return [node.target for node in graph.nodes if node.op == "call_function"] == [opaque]


# ---------------------------------------------------------------------------------- a line for each


PRIVATE = {
    transforms_active: ["torch._C._are_functorch_transforms_active"],
    forward_levels: ["torch._C._functorch.get_interpreter_stack", "torch._C._functorch.TransformType"],
    forward_mode: ["torch.autograd.forward_ad._set_fwd_grad_enabled"],
    unwrap: ["torch._C._functorch.is_functorch_wrapped_tensor", "torch._C._functorch.get_unwrapped"],
    operator_name: ["torch.library.CustomOpDef._qualname"],
    any_autocast_enabled: ["torch._C._is_any_autocast_enabled"],
    native_batch_norm: ["torch.native_batch_norm"],
    native_layer_norm: ["torch.native_layer_norm"],
    safe_softmax: ["torch._safe_softmax"],
    is_view: ["torch.Tensor._is_view"],
    reversed_padding: ["torch.nn.Conv2d._reversed_padding_repeated_twice"],
    check_dimensions: ["torch.nn.BatchNorm2d._check_input_dim"],
    normalises_batches: ["torch.nn.modules.batchnorm._BatchNorm"],
    function_class: ["node_of_ours._forward_cls"],
    output_metadata: ["node_of_ours._input_metadata"],
    saved_tensors: ["node_of_torch._saved_other"],
    version: ["torch.Tensor._version"],
    undefined_gradient: ["torch._C._functions.UndefinedGrad"],
    pull_back: ["torch.autograd.graph._engine_run_backward"],
    leaves: ["torch.utils._pytree.tree_leaves"],
    operations: ["torch.fx.experimental.proxy_tensor.make_fx"],
    allow_in_graph: ["torch._dynamo"],
    **{partial(foreach, operation): [f"torch._foreach_{operation}"] for operation in FOREACH},
}
ROWS = [pytest.param(promise, names, id=names[0]) for promise, names in PRIVATE.items()]
NAMES = [pytest.param(promise, name, id=name) for promise, names in PRIVATE.items() for name in names]


def complaint(promise):
    """What the installed release of torch broke, in a sentence; nothing if all is as amal needs it."""
    try:
        reason = "" if promise() else "it does something else"
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    function = getattr(promise, "func", promise).__name__
    names = " or ".join(PRIVATE[promise])
    return reason and f"torch {torch.__version__} broke {names}, which amal._torch.{function} needs: {reason}"


@pytest.mark.parametrize(("promise", "names"), ROWS)
def test_torch_still_has(promise, names):
    broken = complaint(promise)
    assert not broken, broken


@pytest.mark.parametrize(("promise", "name"), NAMES)
def test_a_name_that_is_gone_is_told_in_a_sentence(promise, name, monkeypatch):
    home, _, attribute = name.rpartition(".")
    if home.startswith("node"):
        monkeypatch.setitem(globals(), home, SimpleNamespace)  # the class of a node cannot be changed
    elif isinstance(owner := pkgutil.resolve_name(home), type):
        monkeypatch.setattr(owner, attribute, property(), raising=False)
    elif name == "torch._dynamo":
        monkeypatch.setitem(sys.modules, name, None)
    else:
        monkeypatch.delattr(owner, attribute)
    sentence = complaint(promise)
    assert sentence.startswith(f"torch {torch.__version__} broke ")
    assert name in sentence


def test_a_name_that_means_something_else_is_told_in_a_sentence(monkeypatch):
    monkeypatch.setattr(torch, "_safe_softmax", torch.softmax)
    assert complaint(safe_softmax) == (
        f"torch {torch.__version__} broke torch._safe_softmax, which amal._torch.safe_softmax needs: "
        "it does something else"
    )


def test_every_private_name_has_its_line():
    functions = {name for name, each in vars(_torch).items() if inspect.isfunction(each) and name[0] != "_"}
    assert {getattr(promise, "func", promise).__name__ for promise in PRIVATE} == functions
    operations = {name for text in SOURCES.values() for name in re.findall(r'foreach\("(\w+)"', text)}
    assert operations == FOREACH.keys()


# ---------------------------------------------------------------------------------- and nowhere else

UNDOCUMENTED = {"native_batch_norm", "native_layer_norm", "make_fx", "experimental", "BackwardCFunction"}
PYTHON = {"_exit", "_getframe", "_asdict"}


def is_private(name):
    return name in UNDOCUMENTED or (name.startswith("_") and not name.startswith("__") and name != "_")


def used(tree):
    """Yield each attribute that a file uses, and whether it is one of torch itself."""
    torchs = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            parts = {part for alias in node.names if alias.name.startswith("torch") for part in alias.name.split(".")}
            yield from ((part, True) for part in parts)
            torchs |= {"torch"} & parts
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch"):
            names = [alias.name for alias in node.names]
            yield from ((part, True) for part in [*node.module.split("."), *names])
            torchs |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute):
            yield node.attr, ast.unparse(node).split(".")[0] in torchs
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr"):
            yield ast.unparse(node.args[1]).strip("'"), False


def defined(tree):
    """Yield the names that a file defines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr


OURS = {name for text in SOURCES.values() for name in defined(ast.parse(text))} | PYTHON
CALLED = {name for text in SOURCES.values() for name in re.findall(r"(?<!def )\b_\w+", text)}


def private_names(source):
    """Return the private names that a file uses of torch, or of what comes from torch, and those that it overrides."""
    tree = ast.parse(source)
    names = {name for name, of_torch in used(tree) if is_private(name) and (of_torch or name not in OURS)}
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    methods = {each.name for node in classes for each in node.body if isinstance(each, ast.FunctionDef)}
    return sorted(names | {name for name in methods if is_private(name) and name not in CALLED})


def test_nowhere_else_is_a_private_name_of_torch():
    files = {path.relative_to(AMAL): private_names(text) for path, text in SOURCES.items() if path.name != "_torch.py"}
    assert {path: names for path, names in files.items() if names} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import torch._dynamo",
        "from torch._C._functorch import TransformType",
        "from torch.utils import _pytree",
        "from torch.fx.experimental.proxy_tensor import make_fx",
        "import torch\ntorch._foreach_add_(a, b)",
        "from torch import nn\nnn.modules.batchnorm._BatchNorm",
        "from torch.autograd import forward_ad as ad\nad._set_fwd_grad_enabled(True)",
        "import torch\ntorch.native_layer_norm(x)",
        "node._input_metadata",
        "x.untyped_storage()._cdata",
        "getattr(node, '_forward_cls')",
        "class Conv(Conv2d):\n    def _conv_forward(self): pass",
    ],
)
def test_a_private_name_is_seen(source):
    assert private_names(source)
