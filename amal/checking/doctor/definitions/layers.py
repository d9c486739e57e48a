"""Affine maps, entrywise functions, softmax, normalisation, highway: every definition that the doctor knows."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from . import Arguments, Definition, Draw, Kink, Operation

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


LINEAR = (
    Definition(
        "course",
        "X W + b, weight (in, out), bias (out)",
        course_linear,
        partial(with_weight, transposed=False, bias=()),
    ),
    Definition(
        "row-bias",
        "X W + b, weight (in, out), bias (1, out)",
        course_linear,
        partial(with_weight, transposed=False, bias=(1,)),
        asked=True,
    ),
    Definition(
        "torch",
        "x Wᵀ + b, weight (out, in), bias (out)",
        functional.linear,
        partial(with_weight, transposed=True, bias=()),
    ),
    Definition(
        "torch-row-bias",
        "x Wᵀ + b, weight (out, in), bias (1, out)",
        lambda input, weight, bias: input @ weight.T + bias,
        partial(with_weight, transposed=True, bias=(1,)),
        asked=True,
    ),
    Definition("course-no-bias", "X W, weight (in, out)", course_linear, partial(with_weight, transposed=False)),
    Definition("torch-no-bias", "x Wᵀ, weight (out, in)", functional.linear, partial(with_weight, transposed=True)),
)

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
AT_TIP = Kink(ZEROS, ZEROS[0], "at 0 the gradient is 0", ZEROS[0] - 1, ZEROS[0] + 1)


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
    usual = Definition("usual", "entry by entry", function, draw)
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
    *(Definition(f"{slope}", f"slope {slope} below 0", partial(leaky, slope=slope), one) for slope in SLOPES),
    Definition("slope", "slope below 0 given", leaky, partial(with_number, number=0.3)),
)
RELU = (
    Definition("usual", "entry by entry", above, one),
    Definition("threshold", "x above a threshold, else 0", above, partial(with_number, number=0.25)),
)

# ---------------------------------------------------------------------------------- softmax and normalisation


def softmax_backward(output: Tensor, grad_output: Tensor) -> Tensor:
    """Return s (g - <s, g>)."""
    return output * (grad_output - (output * grad_output).sum(-1, keepdim=True))


def log_softmax_backward(output: Tensor, grad_output: Tensor) -> Tensor:
    """Return g - exp(y) <1, g>."""
    return grad_output - output.exp() * grad_output.sum(-1, keepdim=True)


LARGE = torch.tensor([[1000.0, 0.0, -1000.0], [900.0, 1000.0, 1000.0], [-1000.0, -1001.0, -999.0]], dtype=torch.float64)
CONSTANT = (torch.full((4, 3), 2.0, dtype=torch.float64),)
DIMS = (-1, 1, 0)


def along(function: Callable[..., Tensor]) -> tuple[Definition, ...]:
    """Return the definitions of a softmax: over rows, over columns, over the dimension given."""
    return (
        Definition("rows", "over the last dimension", partial(function, dim=-1), one),
        Definition("columns", "over the first dimension", partial(function, dim=0), one),
        *(
            Definition(f"dim{dim}", f"dimension {dim} given", function, partial(with_number, number=dim))
            for dim in DIMS
        ),
    )


EPS = (1e-5, 1e-8, 1e-6, 1e-3, 1e-7, 1e-10, 1e-12, 0.0)


def normalised(input: Tensor, *affine: Tensor | float, dims: Sequence[int], eps: float) -> Tensor:
    """Bring dimensions to mean 0 and variance 1, then scale and shift the last."""
    centred = input - input.mean(tuple(dims), keepdim=True)
    output = centred / (centred.square().mean(tuple(dims), keepdim=True) + eps).sqrt()
    match affine:
        case [Tensor() as weight, Tensor() as bias, *_]:
            return output * weight + bias
    return output


def with_affine(draw: Draw) -> Arguments:
    """Draw an input, and a weight and a bias for each column."""
    columns = draw.size(OUT)
    return draw(draw.n, columns), draw(columns), draw(columns)


def with_eps(draw: Draw) -> Arguments:
    """Draw an input, a weight, a bias, and give eps."""
    return *with_affine(draw), 0.25


def normalisation(dims: Sequence[int]) -> tuple[Definition, ...]:
    """Return the definitions of a normalisation over some dimensions."""
    named = "each column over the batch" if 0 in dims else "each row"
    return (
        *(
            Definition(
                f"affine-{eps:g}",
                f"{named}, scaled and shifted, eps {eps:g}",
                partial(normalised, dims=dims, eps=eps),
                with_affine,
            )
            for eps in EPS
        ),
        Definition(
            "eps", f"{named}, scaled and shifted, eps given", partial(normalised, dims=dims, eps=0.25), with_eps
        ),
        *(
            Definition(f"plain-{eps:g}", f"{named}, eps {eps:g}", partial(normalised, dims=dims, eps=eps), one)
            for eps in EPS
        ),
        Definition(
            "plain-eps",
            f"{named}, eps given",
            partial(normalised, dims=dims, eps=0.25),
            partial(with_number, number=0.25),
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


HIGHWAY = (
    *(
        Definition(
            f"{f}-{form}", f"{f} of {formula}", partial(highway, f=f, course=form == "course"), highway_arguments
        )
        for f in GATED
        for form, formula in (("course", "X W + b"), ("torch", "x Wᵀ + b"))
    ),
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
)

OPERATIONS = (
    Operation("linear", ("linear", "affine", "lin", "dense", "fullyconnected"), LINEAR),
    entrywise("tanh", ("tanh", "tanhyperbolic", "hyperbolictangent"), torch.tanh, lambda y, g: g * (1 - y * y)),
    entrywise("sigmoid", ("sigmoid", "logistic", "sigmoide"), torch.sigmoid, lambda y, g: g * y * (1 - y)),
    Operation("relu", ("relu", "rectifier", "relulayer"), RELU, (FAR,), kinks=(AT_ZERO,)),
    Operation("leaky_relu", ("leakyrelu", "lrelu"), LEAKY, (FAR,), kinks=(AT_ZERO,)),
    entrywise("silu", ("silu", "swish"), functional.silu),
    entrywise("gelu", ("gelu",), functional.gelu),
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
    Operation(
        "batch_norm",
        ("batchnorm", "batchnorm1d", "bn"),
        normalisation((0,)),
        (CONSTANT,),
        "a feature that is constant",
        False,
    ),
    Operation(
        "layer_norm",
        ("layernorm", "ln"),
        normalisation((-1,)),
        (CONSTANT,),
        "examples whose features are equal",
        False,
    ),
    Operation("highway", ("highway", "highwaylayer"), HIGHWAY),
)
