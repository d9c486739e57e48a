"""Pictures of what networks make of images: rows of images, maps of points, shades, curves over a setting."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .figures import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE = 0.62
"""Inches of an image in a row."""


def image_rows(rows: Mapping[str, Tensor], title: str, columns: Sequence[str] = ()) -> "Figure":
    """Draw images in rows, one below the other, such as originals and what becomes of them.

    Args:
        rows: label at the left -> images (n, 1 or 3, height, width), in [0, 1].
        title: of the figure.
        columns: labels below the last row, one for each image of the longest row.
    """
    images = list(rows.values())
    n = max(map(len, images))
    channels, height, width = images[0].shape[1:]
    canvas = torch.zeros(len(images), n, channels, height + 1, width + 1)  # a white line between any two
    for line, of_row in zip(canvas, images, strict=True):
        line[: len(of_row), :, :-1, :-1] = of_row.detach().cpu()
    picture = canvas.permute(0, 3, 1, 4, 2).reshape(len(images) * (height + 1), n * (width + 1), channels)
    labels = 0.085 * max(map(len, rows))
    figure = new_figure(SIZE * n * width / height + labels + 0.4, SIZE * len(images) + (0.65 if any(columns) else 0.45))
    axes = figure.subplots()
    axes.imshow(picture.squeeze(2).numpy(), cmap="gray_r", vmin=0, vmax=1)
    axes.set_yticks([(height + 1) * (row + 0.5) - 1 for row in range(len(images))], list(rows))
    axes.set_xticks([(width + 1) * (place + 0.5) - 1 for place in range(len(columns))], list(columns))
    axes.tick_params(length=0, labelsize=8)
    axes.spines[:].set_visible(False)
    figure.suptitle(title, fontsize=10)
    return figure


def points_by_class(panels: Mapping[str, tuple[Tensor, Tensor]], classes: Sequence[str], title: str) -> "Figure":
    """Draw points on planes side by side, each in the colour of its class, whose name stands in the middle of them.

    Args:
        panels: name -> points (n, 2), and the numbers (n) of their classes.
        classes: their names.
        title: of the figure.
    """
    figure = new_figure(3.6 * len(panels), 4.2)
    places = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (name, (points, numbers)) in zip(places, panels.items(), strict=True):
        for number, label in enumerate(classes):
            of_class, colour = points[numbers == number].cpu(), f"C{number % 10}"
            if len(of_class):
                axes.scatter(of_class[:, 0], of_class[:, 1], s=5, color=colour)
                box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.8, "edgecolor": colour}
                middle = of_class.median(0).values.tolist()
                axes.text(*middle, label, ha="center", va="center", fontsize=8, bbox=box)
        axes.set(title=name, xticks=[], yticks=[])
    figure.suptitle(title)
    return figure


def shades(values: Tensor, title: str, xlabel: str, ylabel: str, label: str) -> "Figure":
    """Draw numbers in [0, 1] as shades, the first row at the top; rows and columns are counted from 1.

    Args:
        values: (rows, columns).
        title: of the figure.
        xlabel, ylabel: what columns and rows are.
        label: what the numbers are.
    """
    figure = new_figure(7.0, 4.0)
    axes = figure.subplots()
    edges = (0.5, values.shape[1] + 0.5, values.shape[0] + 0.5, 0.5)
    drawn = axes.imshow(values.detach().cpu().numpy(), aspect="auto", vmin=0, vmax=1, extent=edges)
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    figure.colorbar(drawn, ax=axes, label=label)
    return figure


def values_over(
    panels: Mapping[str, Mapping[str, Mapping[float, float]]], title: str, xlabel: str, logarithmic: Sequence[str] = ()
) -> "Figure":
    """Draw curves over a setting, such as a depth, in panels side by side.

    Args:
        panels: what a panel shows -> name of a curve -> setting -> value.
        title: of the figure.
        xlabel: what the setting is.
        logarithmic: the panels whose values are drawn on a logarithmic axis.
    """
    figure = new_figure(5.0 * len(panels) + 1.6, 4.0)
    places = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (ylabel, curves) in zip(places, panels.items(), strict=True):
        for name, points in curves.items():
            axes.plot(list(points), list(points.values()), marker="o", label=name)
        axes.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if ylabel in logarithmic else "linear")
        axes.grid(alpha=0.3)
    figure.legend(*places[0].get_legend_handles_labels(), loc="outside right center", fontsize="small")
    figure.suptitle(title)
    return figure
