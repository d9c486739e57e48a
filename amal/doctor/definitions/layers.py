"""Affine maps, entrywise functions, softmax, highway: every definition that the doctor knows."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from .definition import Arguments, Definition, Draw, Kink, Operation

IN, OUT = 7, 3

# ---------------------------------------------------------------------------------- affine maps


def course_linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return X W + b."""
    return input @ weight if bias is None else input @ weight + bias


def with_weight(draw: Draw, transposed: bool, bias: tuple[int, ...] | None = None) -> Arguments:
    """Draw an input, a weight (in, out) or (out, in), and a bias of dimensions (*bias, out)."""
    rows, columns = draw.size(IN), draw.size(OUT)
    weight = draw(columns, rows) if transposed else draw(rows, columns)
    arguments = (draw(draw.n, rows), weight)
    return arguments if bias is None else (*arguments, draw(*bias, columns))


AFFINE = ("input", "weight", "bias")


def affine_map(name: str, says: str, reference: Callable[..., Tensor], bias: tuple[int, ...] | None) -> Definition:
    """Return the definition of an affine map, its bias of dimensions (*bias, out), or none."""
    draw = partial(with_weight, transposed="torch" in name, bias=bias)
    return Definition(name, says, reference, draw, asked=bias == (1,), roles=AFFINE[: 2 if bias is None else 3])


LINEAR = (
    affine_map("course", "X W + b, weight (in, out), bias (out)", course_linear, ()),
    affine_map("row-bias", "X W + b, weight (in, out), bias (1, out)", course_linear, (1,)),
    affine_map("torch", "x Wᵀ + b, weight (out, in), bias (out)", functional.linear, ()),
    affine_map(
        "torch-row-bias", "x Wᵀ + b, weight (out, in), bias (1, out)", lambda x, weight, bias: x @ weight.T + bias, (1,)
    ),
    affine_map("course-no-bias", "X W, weight (in, out)", course_linear, None),
    affine_map("torch-no-bias", "x Wᵀ, weight (out, in)", functional.linear, None),
)


def with_rows(definition: Definition) -> Definition:
    """Return the same with (1, p) where an input has a dimension alone, (p)."""

    def draw(drawing: Draw) -> Arguments:
        arguments = definition.draw(drawing)
        return tuple(of[None] if isinstance(of, Tensor) and of.dim() == 1 else of for of in arguments)

    says = f"{definition.says}, vectors as rows (1, p)"
    return replace(definition, name=f"{definition.name}-row", says=says, draw=draw, asked=True)


# ---------------------------------------------------------------------------------- entry by entry


def one(draw: Draw) -> Arguments:
    """Draw a matrix."""
    return (draw(draw.n, draw.size(OUT)),)


def positive(draw: Draw) -> Arguments:
    """Draw a matrix of positive numbers."""
    return (draw.between(0.5, 2, draw.n, draw.size(OUT)),)


def apart(draw: Draw) -> Arguments:
    """Draw two matrices of the same shape."""
    return draw(draw.n, draw.size(OUT)), draw(draw.n, draw.size(OUT))


def with_number(draw: Draw, number: float) -> Arguments:
    """Draw a matrix, and give a number besides."""
    return *one(draw), number


FAR = (torch.tensor([[1000.0, -1000.0, 0.5], [-40.0, 40.0, -0.5]], dtype=torch.float64),)
ZEROS = (torch.zeros(2, 3, dtype=torch.float64),)


AT_ZERO = Kink(ZEROS, None, "at 0 the derivative is the one on the left")
AT_TIP = Kink(ZEROS, ZEROS[0], "at 0 the gradient is 0")


def entrywise(
    name: str,
    aliases: tuple[str, ...],
    function: Callable[..., Tensor],
    of_output: Callable[[Tensor, Tensor], Tensor] | None = None,
    kinks: tuple[Kink, ...] = (),
    draw: Callable[[Draw], Arguments] = one,
    extremes: tuple[Arguments, ...] = (FAR,),
) -> Operation:
    """Return an operation that treats every entry alike, and has one definition."""
    usual = Definition("usual", "entry by entry", function, draw, roles=() if draw is apart else ("input",))
    return Operation(name, aliases, (usual,), extremes, kinks=kinks, of_output=of_output)


def leaky(input: Tensor, slope: float) -> Tensor:
    """Return x where x > 0, else slope · x.

    The condition says which slope holds at 0. What torch takes there for clamp or maximum is another in other versions.
    """
    return torch.where(input > 0, input, slope * input)


def above(input: Tensor, threshold: float = 0.0) -> Tensor:
    """Return x where it is above a threshold, else 0; on the threshold its derivative is 0, as the condition says."""
    return torch.where(input > threshold, input, 0.0)


SLOPES = (0.01, 0.1, 0.2, 0.3)
LEAKY = (
    *(
        Definition(f"{slope}", f"slope {slope} below 0", partial(leaky, slope=slope), one, roles=("input",))
        for slope in SLOPES
    ),
    Definition("slope", "slope below 0 given", leaky, partial(with_number, number=0.3), roles=("input", "slope")),
)
RELU = (
    Definition("usual", "entry by entry", above, one, roles=("input",)),
    Definition(
        "threshold",
        "x above a threshold, else 0",
        above,
        partial(with_number, number=0.25),
        roles=("input", "threshold"),
    ),
)

GELU = tuple(
    Definition(name, says, partial(functional.gelu, approximate=word), one, roles=("input",))
    for name, says, word in (("usual", "entry by entry", "none"), ("tanh", "approximated by a tanh", "tanh"))
)

# ---------------------------------------------------------------------------------- softmax


def softmax_backward(output: Tensor, grad_output: Tensor) -> Tensor:
    """Return s (g - <s, g>)."""
    return output * (grad_output - (output * grad_output).sum(-1, keepdim=True))


def log_softmax_backward(output: Tensor, grad_output: Tensor) -> Tensor:
    """Return g - exp(y) <1, g>."""
    return grad_output - output.exp() * grad_output.sum(-1, keepdim=True)


LARGE = torch.tensor([[1000.0, 0.0, -1000.0], [900.0, 1000.0, 1000.0], [-1000.0, -1001.0, -999.0]], dtype=torch.float64)
DIMS = (-1, 1, 0)


def along(function: Callable[..., Tensor]) -> tuple[Definition, ...]:
    """Return the definitions of a softmax: over rows, over columns, over the dimension given."""
    return (
        Definition("rows", "over the last dimension", partial(function, dim=-1), one, roles=("input",)),
        Definition(
            "columns", "over the first dimension", partial(function, dim=0), one, roles=("input",), of_batch=True
        ),
        *(
            Definition(
                f"dim{dim}",
                f"dimension {dim} given",
                function,
                partial(with_number, number=dim),
                roles=("input", "dim"),
                of_batch=dim == 0,
            )
            for dim in DIMS
        ),
    )


# ---------------------------------------------------------------------------------- highway

GATED: dict[str, Callable[[Tensor], Tensor]] = {"relu": above, "tanh": torch.tanh, "sigmoid": torch.sigmoid}


def highway(
    input: Tensor, weight: Tensor, bias: Tensor, gate_weight: Tensor, gate_bias: Tensor, *_: str, f: str, course: bool
) -> Tensor:
    """Return H Z + x (1 - Z)."""
    weight, gate_weight = (weight, gate_weight) if course else (weight.T, gate_weight.T)
    transform = GATED[f](input @ weight + bias)
    gate = (input @ gate_weight + gate_bias).sigmoid()
    return transform * gate + input * (1 - gate)


def highway_arguments(draw: Draw, word: str | None = None) -> Arguments:
    """Draw an input, and a square weight and a bias each for the transform and the gate."""
    d = draw.size(4)
    return draw(draw.n, d), draw(d, d), draw(d), draw(d, d), draw(d), *([] if word is None else [word])


AFFINE_HIGHWAY = tuple(
    Definition(f"{f}-{form}", f"{f} of {formula}", partial(highway, f=f, course=form == "course"), highway_arguments)
    for f in GATED
    for form, formula in (("course", "X W + b"), ("torch", "x Wᵀ + b"))
)
HIGHWAY = (
    *AFFINE_HIGHWAY,
    *(
        Definition(
            f"{f}-word", f"{f}, named in words", partial(highway, f=f, course=False), partial(highway_arguments, word=f)
        )
        for f in GATED
    ),
    *(
        Definition(
            f"mixed-{''.join(order)}",
            f"of ({', '.join(order)})",
            lambda a, b, c, order=order: (lambda v: v["H"] * v["T"] + v["x"] * (1 - v["T"]))(
                dict(zip(order, (a, b, c), strict=True))
            ),
            lambda draw: (draw(draw.n, draw.size(4)), draw(draw.n, draw.size(4)), draw(draw.n, draw.size(4))),
        )
        for order in (("x", "H", "T"), ("H", "T", "x"), ("H", "x", "T"), ("x", "T", "H"))
    ),
    *map(with_rows, AFFINE_HIGHWAY),
)

OPERATIONS = (
    Operation("linear", ("linear", "affine", "lin", "dense", "fullyconnected"), LINEAR),
    entrywise("tanh", ("tanh", "tanhyperbolic", "hyperbolictangent"), torch.tanh, lambda y, g: g * (1 - y * y)),
    entrywise("sigmoid", ("sigmoid", "logistic", "sigmoide"), torch.sigmoid, lambda y, g: g * y * (1 - y)),
    Operation("relu", ("relu", "rectifier", "relulayer"), RELU, (FAR,), kinks=(AT_ZERO,)),
    Operation("leaky_relu", ("leakyrelu", "lrelu"), LEAKY, (FAR,), kinks=(AT_ZERO,)),
    entrywise("silu", ("silu", "swish"), functional.silu),
    Operation("gelu", ("gelu",), GELU, (FAR,)),
    entrywise("abs", ("abs", "absolute", "absolutevalue"), torch.abs, kinks=(AT_TIP,)),
    entrywise("softplus", ("softplus",), functional.softplus),
    entrywise("exp", ("exp", "exponential"), torch.exp, lambda y, g: g * y, extremes=()),
    entrywise("log", ("log", "logarithm", "ln"), torch.log, draw=positive, extremes=()),
    entrywise("square", ("square", "pow2", "squared"), torch.square, extremes=()),
    entrywise(
        "sqrt",
        ("sqrt", "squareroot"),
        torch.sqrt,
        lambda y, g: g / (2 * y),
        draw=positive,
        extremes=(),
    ),
    entrywise("add", ("add", "sum2", "addition"), torch.add, draw=apart, extremes=()),
    entrywise("mul", ("mul", "multiply", "product", "times"), torch.mul, draw=apart, extremes=()),
    entrywise("div", ("div", "divide", "division", "quotient"), torch.div, draw=apart, extremes=()),
    Operation("sum", ("sum",), (Definition("usual", "of all entries", torch.sum, one),)),
    Operation("mean", ("mean", "average"), (Definition("usual", "of all entries", torch.mean, one),)),
    Operation(
        "matmul",
        ("matmul", "mm", "matrixproduct"),
        (Definition("usual", "A B", torch.matmul, partial(with_weight, transposed=False)),),
    ),
    Operation("softmax", ("softmax",), along(torch.softmax), ((LARGE,),), of_output=softmax_backward),
    Operation("log_softmax", ("logsoftmax",), along(torch.log_softmax), ((LARGE,),), of_output=log_softmax_backward),
    Operation("highway", ("highway", "highwaylayer"), HIGHWAY),
)
