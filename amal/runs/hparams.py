"""The row of a run in TensorBoard's table of hyper-parameters, such that it can sort every column.

It sorts no column that mixes numbers and text (it answers with an error), and none with NaN in it.
"""

import dataclasses
import numbers
import sys
from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from amal.training.config import RunConfig

LARGEST = sys.float_info.max


def is_sortable(value: Any) -> bool:
    """Whether TensorBoard can sort a column with this value: no None, and no NaN or infinity."""
    is_number = isinstance(value, numbers.Real)
    return value is not None and (not is_number or -LARGEST <= value <= LARGEST)


def table_row(settings: Mapping[str, Any], columns: dict[str, str]) -> dict[str, bool | float | str]:
    """Return the row of a run, as column -> what stands there.

    Args:
        settings: of the run.
        columns: setting -> `number` or `text`, as its column holds; new ones are added. A value of
            the other kind gets a column of its own, such as `size (text)`.
    """
    row: dict[str, bool | float | str] = {}
    for name, value in settings.items():
        if is_sortable(value):
            kind = "number" if isinstance(value, numbers.Real) else "text"
            column = name if columns.setdefault(name, kind) == kind else f"{name} ({kind})"
            row[column] = str(value) if kind == "text" else value if isinstance(value, bool) else float(value)
    return row


def number_columns(config: RunConfig) -> dict[str, str]:
    """Return `number` for each setting that may be one: so its column is the same in every run."""
    hints = get_type_hints(type(config))
    return {field.name: "number" for field in dataclasses.fields(config) if _may_be_a_number(hints[field.name])}


def _may_be_a_number(hint: Any) -> bool:
    choices = get_args(hint) if get_origin(hint) in (Union, UnionType, Literal) else (hint,)
    return any(choice in (bool, int, float) or isinstance(choice, (int, float)) for choice in choices)
