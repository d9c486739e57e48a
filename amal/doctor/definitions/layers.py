"""Affine maps, entrywise functions, softmax, highway: every definition that the doctor knows."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from .definition import Arguments, Definition, Draw, Kink, Operation, append

IN, OUT = 7, 3
INPUT = ("input",)

# ---------------------------------------------------------------------------------- affine maps


def course_linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return X W + b."""
    return input @ weight if bias is None else input @ weight + bias


def input_and_weight(draw: Draw, transposed: bool = False, bias: tuple[int, ...] | None = None) -> Arguments:
    """Draw an input, a weight (in, out) or (out, in), and a bias of dimensions (*bias, out)."""
    rows, columns = draw.size(IN), draw.size(OUT)
    weight = draw(columns, rows) if transposed else draw(rows, columns)
    arguments = (draw(draw.n, rows), weight)
    return arguments if bias is None else (*arguments, draw(*bias, columns))


AFFINE = ("input", "weight", "bias")
_SHAPE = r"\W{0,12}(?:(?:shape|size|dim\w*|is|of|has|a|row)\W+){0,4}\(?\[?\s*1\s*[,x×]\s*\w"
ROW_HINT = "|".join(
    [
        rf"\b(?:b|bias|biais|beta)\b(?:{_SHAPE}|\.(?:shape\[1\]|size\(1\)))",
        r"[(\[]\s*1\s*,\s*(?:p|m|out|d_out|n_out|out_features|outputs?)\s*[)\]]",
    ]
)
"""`b (1, p)` in a comment or docstring, as the sheet has it on paper; so `(1, out)` of whatever, and `b.shape[1]`."""


def affine_map(name: str, says: str, reference: Callable[..., Tensor], bias: tuple[int, ...] | None) -> Definition:
    """Return the definition of an affine map, its bias of dimensions (*bias, out), or none."""
    draw = partial(input_and_weight, transposed="torch" in name, bias=bias)
    roles = AFFINE[: 2 if bias is None else 3]
    return Definition(name, says, reference, draw, roles, hint=ROW_HINT if bias == (1,) else "")


LINEAR = (
    affine_map("course", "X W + b, weight (in, out), bias (out)", course_linear, ()),
    affine_map("row-bias", "X W + b, weight (in, out), bias (1, out)", course_linear, (1,)),
    affine_map("torch", "x Wᵀ + b, weight (out, in), bias (out)", functional.linear, ()),
    affine_map("torch-row-bias", "x Wᵀ + b, weight (out, in), bias (1, out)", lambda x, w, b: x @ w.T + b, (1,)),
    affine_map("course-no-bias", "X W, weight (in, out)", course_linear, None),
    affine_map("torch-no-bias", "x Wᵀ, weight (out, in)", functional.linear, None),
)


def row_vectors(definition: Definition) -> Definition:
    """Return the same with (1, p) where an input has a dimension alone, (p)."""

    def draw(drawing: Draw) -> Arguments:
        arguments = definition.draw(drawing)
        return tuple(value[None] if isinstance(value, Tensor) and value.dim() == 1 else value for value in arguments)

    says = f"{definition.says}, vectors as rows (1, p)"
    return replace(definition, name=f"{definition.name}-row", says=says, draw=draw, hint=ROW_HINT)


# ---------------------------------------------------------------------------------- entry by entry


def matrix(draw: Draw) -> Arguments:
    """Draw a matrix."""
    return (draw(draw.n, draw.size(OUT)),)


def positive_matrix(draw: Draw) -> Arguments:
    """Draw a matrix of positive numbers."""
    return (draw.uniform(0.5, 2, draw.n, draw.size(OUT)),)


def two_matrices(draw: Draw) -> Arguments:
    """Draw two matrices of the same shape."""
    return draw(draw.n, draw.size(OUT)), draw(draw.n, draw.size(OUT))


FAR = (torch.tensor([[1000.0, -1000.0, 0.5], [-40.0, 40.0, -0.5]], dtype=torch.float64),)
ZEROS = (torch.zeros(2, 3, dtype=torch.float64),)
LEFT_SLOPE = Kink(ZEROS, None, "at 0 the derivative is the one on the left")
NO_SLOPE = Kink(ZEROS, ZEROS[0], "at 0 the gradient is 0")


def entrywise(
    name: str,
    aliases: tuple[str, ...],
    function: Callable[..., Tensor],
    gradient_by_output: Callable[[Tensor, Tensor], Tensor] | None = None,
    kinks: tuple[Kink, ...] = (),
    draw: Callable[[Draw], Arguments] = matrix,
    extremes: tuple[Arguments, ...] = (FAR,),
) -> Operation:
    """Return an operation that treats every entry alike, and has one definition."""
    usual = Definition("usual", "entry by entry", function, draw, () if draw is two_matrices else INPUT)
    return Operation(name, aliases, (usual,), extremes, kinks=kinks, gradient_by_output=gradient_by_output)


def leaky_relu(input: Tensor, slope: float) -> Tensor:
    """Return x where x > 0, else slope · x.

    The condition says which slope holds at 0. What torch takes there for clamp or maximum is another in other versions.
    """
    return torch.where(input > 0, input, slope * input)


def relu(input: Tensor, threshold: float = 0.0) -> Tensor:
    """Return x where it is larger than a threshold, else 0; the condition says that the derivative there is 0."""
    return torch.where(input > threshold, input, 0.0)


LEAKY_RELU = (
    *(
        Definition(f"{slope}", f"slope {slope} below 0", partial(leaky_relu, slope=slope), matrix, INPUT)
        for slope in (0.01, 0.1, 0.2, 0.3)
    ),
    Definition("slope", "slope below 0 given", leaky_relu, append(matrix, 0.3), ("input", "slope")),
)
RELU = (
    Definition("usual", "entry by entry", relu, matrix, INPUT),
    Definition("threshold", "x above a threshold, else 0", relu, append(matrix, 0.25), ("input", "threshold")),
)
GELU = (
    Definition("usual", "entry by entry", functional.gelu, matrix, INPUT),
    Definition("tanh", "approximated by a tanh", partial(functional.gelu, approximate="tanh"), matrix, INPUT),
)

# ---------------------------------------------------------------------------------- softmax


def softmax_gradient(output: Tensor, grad_output: Tensor) -> Tensor:
    """Return s (g - <s, g>)."""
    return output * (grad_output - (output * grad_output).sum(-1, keepdim=True))


def log_softmax_gradient(output: Tensor, grad_output: Tensor) -> Tensor:
    """Return g - exp(y) <1, g>."""
    return grad_output - output.exp() * grad_output.sum(-1, keepdim=True)


LARGE = torch.tensor([[1000.0, 0.0, -1000.0], [900.0, 1000.0, 1000.0], [-1000.0, -1001.0, -999.0]], dtype=torch.float64)


def softmaxes(function: Callable[..., Tensor]) -> tuple[Definition, ...]:
    """Return the definitions of a softmax: over rows, over columns, over the dimension given."""

    def dimension(dim: int) -> Definition:
        draw = append(matrix, dim)
        return Definition(f"dim{dim}", f"dimension {dim} given", function, draw, ("input", "dim"), needs_batch=dim == 0)

    return (
        Definition("rows", "over the last dimension", partial(function, dim=-1), matrix, INPUT),
        Definition("columns", "over the first dimension", partial(function, dim=0), matrix, INPUT, needs_batch=True),
        *map(dimension, (-1, 1, 0)),
    )


# ---------------------------------------------------------------------------------- highway

TRANSFORMS: dict[str, Callable[[Tensor], Tensor]] = {"relu": relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}


def highway(
    input: Tensor, weight: Tensor, bias: Tensor, gate_weight: Tensor, gate_bias: Tensor, *_: str, f: str, course: bool
) -> Tensor:
    """Return H Z + x (1 - Z)."""
    weight, gate_weight = (weight, gate_weight) if course else (weight.T, gate_weight.T)
    transform = TRANSFORMS[f](input @ weight + bias)
    gate = (input @ gate_weight + gate_bias).sigmoid()
    return transform * gate + input * (1 - gate)


def highway_arguments(draw: Draw) -> Arguments:
    """Draw an input, and a square weight and a bias each for the transform and the gate."""
    d = draw.size(4)
    return draw(draw.n, d), draw(d, d), draw(d), draw(d, d), draw(d)


def mixture(order: str) -> Definition:
    """Return the definition of H T + x (1 - T) alone, of inputs in some order."""

    def reference(*inputs: Tensor) -> Tensor:
        value = dict(zip(order, inputs, strict=True))
        return value["H"] * value["T"] + value["x"] * (1 - value["T"])

    def draw(drawing: Draw) -> Arguments:
        return tuple(drawing(drawing.n, drawing.size(4)) for _ in order)

    return Definition(f"mixed-{order}", f"of ({', '.join(order)})", reference, draw)


AFFINE_HIGHWAY = tuple(
    Definition(f"{f}-{form}", f"{f} of {formula}", partial(highway, f=f, course=form == "course"), highway_arguments)
    for f in TRANSFORMS
    for form, formula in (("course", "X W + b"), ("torch", "x Wᵀ + b"))
)
HIGHWAY = (
    *AFFINE_HIGHWAY,
    *(
        Definition(
            f"{f}-word", f"{f}, named in words", partial(highway, f=f, course=False), append(highway_arguments, f)
        )
        for f in TRANSFORMS
    ),
    *map(mixture, ("xHT", "HTx", "HxT", "xTH")),
    *map(row_vectors, AFFINE_HIGHWAY),
)

OPERATIONS = (
    Operation("linear", ("linear", "affine", "lin", "dense", "fullyconnected"), LINEAR),
    entrywise("tanh", ("tanh", "tanhyperbolic", "hyperbolictangent"), torch.tanh, lambda y, g: g * (1 - y * y)),
    entrywise("sigmoid", ("sigmoid", "logistic", "sigmoide"), torch.sigmoid, lambda y, g: g * y * (1 - y)),
    Operation("relu", ("relu", "rectifier", "relulayer"), RELU, (FAR,), kinks=(LEFT_SLOPE,)),
    Operation("leaky_relu", ("leakyrelu", "lrelu"), LEAKY_RELU, (FAR,), kinks=(LEFT_SLOPE,)),
    entrywise("silu", ("silu", "swish"), functional.silu),
    Operation("gelu", ("gelu",), GELU, (FAR,)),
    entrywise("abs", ("abs", "absolute", "absolutevalue"), torch.abs, kinks=(NO_SLOPE,)),
    entrywise("softplus", ("softplus",), functional.softplus),
    entrywise("exp", ("exp", "exponential"), torch.exp, lambda y, g: g * y, extremes=()),
    entrywise("log", ("log", "logarithm", "ln"), torch.log, draw=positive_matrix, extremes=()),
    entrywise("square", ("square", "pow2", "squared"), torch.square, extremes=()),
    entrywise("sqrt", ("sqrt", "squareroot"), torch.sqrt, lambda y, g: g / (2 * y), draw=positive_matrix, extremes=()),
    entrywise("add", ("add", "sum2", "addition"), torch.add, draw=two_matrices, extremes=()),
    entrywise("mul", ("mul", "multiply", "product", "times"), torch.mul, draw=two_matrices, extremes=()),
    entrywise("div", ("div", "divide", "division", "quotient"), torch.div, draw=two_matrices, extremes=()),
    Operation("sum", ("sum",), (Definition("usual", "of all entries", torch.sum, matrix),)),
    Operation("mean", ("mean", "average"), (Definition("usual", "of all entries", torch.mean, matrix),)),
    Operation(
        "matmul", ("matmul", "mm", "matrixproduct"), (Definition("usual", "A B", torch.matmul, input_and_weight),)
    ),
    Operation("softmax", ("softmax",), softmaxes(torch.softmax), ((LARGE,),), gradient_by_output=softmax_gradient),
    Operation(
        "log_softmax",
        ("logsoftmax",),
        softmaxes(torch.log_softmax),
        ((LARGE,),),
        gradient_by_output=log_softmax_gradient,
    ),
    Operation("highway", ("highway", "highwaylayer"), HIGHWAY),
)
