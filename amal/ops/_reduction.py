"""How a loss over many entries becomes one number."""

import warnings

REDUCTIONS = ("none", "mean", "sum")


def choose_reduction(
    op: str, size_average: bool | None, reduce: bool | None, reduction: str, stacklevel: int = 3
) -> str:
    """Return the reduction that is meant: 'none', 'mean' or 'sum'.

    `size_average` and `reduce` are how torch spelt it before 0.4.1 and how old code still calls it; torch deprecates
    them and so does this, with a warning. `stacklevel` says whose call it is about, as in warnings.warn.

    Raises:
        ValueError: `reduction` is none of the three.
    """
    if size_average is not None or reduce is not None:
        reduction_name = "none" if reduce is False else "sum" if size_average is False else "mean"
        warnings.warn(
            f"{op}: size_average and reduce are deprecated, use reduction={reduction_name!r}", stacklevel=stacklevel
        )
        return reduction_name
    if reduction not in REDUCTIONS:
        raise ValueError(f"{op}: reduction is {reduction!r}, expected one of {', '.join(map(repr, REDUCTIONS))}")
    return reduction
