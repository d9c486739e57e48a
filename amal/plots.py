"""The figures of the labs, by matplotlib, each under its `title`."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Predict = Callable[[Tensor], Tensor]
Row = dict[str, float]
SIZE = 0.62
"""Height of an image in a row, in inches."""


def new_figure(width: float = 6.0, height: float = 4.0) -> "Figure":
    """Return an empty figure of this size in inches; matplotlib's global state is not touched."""
    from matplotlib.figure import Figure  # half a second to import: not for --help

    return Figure(figsize=(width, height), dpi=100, layout="constrained")


def _new_axes(width: float = 6.0, height: float = 4.0) -> "tuple[Figure, Axes]":
    figure = new_figure(width, height)
    return figure, figure.subplots()


def learning_curves(
    curves: dict[str, list[float]],
    levels: dict[str, float],
    title: str,
    ylabel: str,
    xlabel: str = "epoch",
    log: bool = False,
) -> "Figure":
    """Draw values over the epochs (logarithmic axis), and levels to compare with as dashed lines.

    Args:
        curves: name -> value after epoch 1, 2, ...
        levels: name -> a value that does not change.
        ylabel: what the values are.
        xlabel: what is counted, if not epochs.
        log: whether the values are drawn on a logarithmic axis too.
    """
    figure, axes = _new_axes()
    for name, values in curves.items():
        axes.semilogx(range(1, len(values) + 1), values, label=name)
    for name, level in levels.items():
        axes.axhline(level, color="0.6", linestyle="--", label=name)
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    axes.legend()
    return figure


def training_curves(histories: dict[str, list[Row]], metric: str, title: str, log: bool = False) -> "Figure":
    """Draw a metric on train and test over epochs, updates and seconds of training.

    Args:
        histories: name of a training -> its rows, with `epoch`, `step`, `seconds`, `<metric>/train`, `<metric>/test`.
        metric: such as loss.
        log: whether the metric is drawn on a logarithmic axis.
    """
    figure = new_figure(12.0, 4.0)
    panels = figure.subplots(1, 3, sharey=True)
    for axes, (key, label) in zip(
        panels, (("epoch", "epoch"), ("step", "update"), ("seconds", "seconds of training")), strict=True
    ):
        for number, (name, rows) in enumerate(histories.items()):
            for part, style in (("train", "--"), ("test", "-")):
                points = [(row[key], row[f"{metric}/{part}"]) for row in rows]
                axes.plot(*zip(*points, strict=True), style, color=f"C{number}", label=name if part == "test" else None)
        axes.set_xscale("symlog", linthresh=0.01 if key == "seconds" else 1)
        axes.set(xlabel=label, yscale="log" if log else "linear")
        axes.set_xlim(left=0)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel(f"{metric} (dashed: train, solid: test)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", fontsize="small")
    figure.suptitle(title)
    return figure


@torch.no_grad()
def fitted_line(input: Tensor, target: Tensor, predictions: dict[str, Predict], title: str) -> "Figure":
    """Draw points on a plane, and the lines that models fit to them.

    Args:
        input: (n, 1).
        target: (n, 1).
        predictions: name of a line -> function from (m, 1) to (m, 1).
    """
    figure, axes = _new_axes()
    axes.scatter(input.cpu(), target.cpu(), s=8, color="0.6", label=f"{len(input)} examples")
    grid = torch.linspace(float(input.min()), float(input.max()), 100).unsqueeze(1).to(input)
    for (name, predict), style in zip(predictions.items(), ("-", "--", ":"), strict=False):
        axes.plot(grid.cpu(), predict(grid).cpu(), style, linewidth=2.5, label=name)
    axes.set(title=title, xlabel="input x", ylabel="target y")
    axes.legend()
    return figure


@torch.no_grad()
def predicted_against_true(target: Tensor, predictions: dict[str, Tensor], title: str, unit: str) -> "Figure":
    """Draw each prediction over its target; a perfect model puts every point on the diagonal.

    Args:
        target: (n, 1).
        predictions: name of a model -> (n, 1).
        unit: what the target measures, for both axes.
    """
    figure, axes = _new_axes(5.0, 5.0)
    ends = [float(target.min()), float(target.max())]
    axes.plot(ends, ends, color="0.6", label="perfect")
    for (name, prediction), marker in zip(predictions.items(), ("o", "x", "+"), strict=False):
        axes.scatter(target.cpu(), prediction.cpu(), s=24, marker=marker, alpha=0.8, label=name)
    axes.set(title=title, xlabel=f"true {unit}", ylabel=f"predicted {unit}")
    axes.legend()
    return figure


@torch.no_grad()
def decision_frontier(input: Tensor, target: Tensor, predict: Predict, title: str) -> "Figure":
    """Draw two classes of points, a model's output behind them, and the frontier where it is 0.

    Args:
        input: (n, 2).
        target: (n, 1), +1 or -1.
        predict: function from (m, 2) to (m, 1), positive for class +1.
    """
    figure, axes = _new_axes(6.0, 5.0)
    limit = 1.1 * float(input.abs().max())
    ticks = torch.linspace(-limit, limit, 120)
    y, x = torch.meshgrid(ticks, ticks, indexing="ij")
    output = predict(torch.stack([x, y], -1).reshape(-1, 2).to(input)).reshape(x.shape).cpu()
    shades = axes.contourf(x, y, output.clamp(-2, 2), levels=torch.linspace(-2, 2, 17).tolist(), cmap="RdBu", alpha=0.6)
    if output.min() < 0 < output.max():
        axes.contour(x, y, output, levels=[0.0], colors="black", linewidths=2)
    for label, colour in ((1, "tab:blue"), (-1, "tab:red")):
        x, y = input[target[:, 0] == label].cpu().unbind(1)
        axes.scatter(x, y, s=10, color=colour, edgecolor="white", linewidth=0.3, label=f"class {label:+d}")
    axes.set(title=title, xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
    axes.legend(loc="upper left")
    figure.colorbar(shades, ax=axes, label="output of the model (cut at ±2)")
    return figure


def confusion_matrix(target: Tensor, predicted: Tensor, classes: Sequence[str], title: str) -> "Figure":
    """Draw how often each class was taken for each, in percent of the class's examples.

    Args:
        target, predicted: (n), numbers of classes.
        classes: their names.
    """
    k = len(classes)
    counts = torch.bincount(k * target.cpu() + predicted.cpu(), minlength=k * k).reshape(k, k)
    rates = counts / counts.sum(1, keepdim=True).clamp(min=1)
    figure, axes = _new_axes(6.5, 6.0)
    axes.imshow(rates.sqrt().numpy(), cmap="Blues", vmin=0, vmax=1)  # the root shows one error in a hundred
    for row, column in counts.nonzero().tolist():
        text = f"{100 * float(rates[row, column]):.3g}"
        colour = "white" if rates[row, column] > 0.4 else "black"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    is_long = max(map(len, classes)) > 3
    axes.set_xticks(range(k), classes, rotation=45 if is_long else 0, ha="right" if is_long else "center")
    axes.set_yticks(range(k), classes)
    axes.set(title=title, xlabel="taken for", ylabel="class (each row in percent)")
    return figure


def image_grid(images: Tensor, captions: Sequence[str], title: str, columns: int = 8) -> "Figure":
    """Draw images in rows, each with a caption below it.

    Args:
        images: (n, 1 or 3, height, width), in [0, 1].
        captions: one for each.
        columns: images in a row.
    """
    rows = max(1, -(-len(images) // columns))
    figure = new_figure(1.1 * columns, 1.5 * rows + 0.4)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in panels:
        axes.set_axis_off()
    for axes, image, caption in zip(panels, images.cpu(), captions, strict=False):
        axes.imshow(image.permute(1, 2, 0).squeeze(2).numpy(), cmap="gray_r", vmin=0, vmax=1)
        axes.set_title(caption, fontsize=8, y=0, va="top", pad=-4)
    figure.suptitle(title)
    return figure


def image_rows(rows: Mapping[str, Tensor], title: str, columns: Sequence[str] = ()) -> "Figure":
    """Draw images in rows, one below the other, such as originals and their reconstructions.

    Args:
        rows: label at the left -> images (n, 1 or 3, height, width), in [0, 1].
        columns: labels below the last row, one for each image of the longest row.
    """
    images = list(rows.values())
    n = max(map(len, images))
    channels, height, width = images[0].shape[1:]
    canvas = torch.zeros(len(images), n, channels, height + 1, width + 1)  # a white line between any two
    for line, row in zip(canvas, images, strict=True):
        line[: len(row), :, :-1, :-1] = row.detach().cpu()
    picture = canvas.permute(0, 3, 1, 4, 2).reshape(len(images) * (height + 1), n * (width + 1), channels)
    labels = 0.085 * max(map(len, rows))
    figure = new_figure(SIZE * n * width / height + labels + 0.4, SIZE * len(images) + (0.65 if any(columns) else 0.45))
    axes = figure.subplots()
    axes.imshow(picture.squeeze(2).numpy(), cmap="gray_r", vmin=0, vmax=1)
    axes.set_yticks([(height + 1) * (row + 0.5) - 1 for row in range(len(images))], list(rows))
    axes.set_xticks([(width + 1) * (column + 0.5) - 1 for column in range(len(columns))], list(columns))
    axes.tick_params(length=0, labelsize=8)
    axes.spines[:].set_visible(False)
    figure.suptitle(title, fontsize=10)
    return figure


def points_by_class(panels: Mapping[str, tuple[Tensor, Tensor]], classes: Sequence[str], title: str) -> "Figure":
    """Draw points on planes side by side, in the colour of their class, its name in their middle.

    Args:
        panels: name -> points (n, 2), and the numbers (n) of their classes.
        classes: their names.
    """
    figure = new_figure(3.6 * len(panels), 4.2)
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (name, (points, numbers)) in zip(row, panels.items(), strict=True):
        for number, label in enumerate(classes):
            members, colour = points[numbers == number].cpu(), f"C{number % 10}"
            if len(members):
                axes.scatter(*members.unbind(1), s=5, color=colour)
                box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.8, "edgecolor": colour}
                middle = members.median(0).values.tolist()
                axes.text(*middle, label, ha="center", va="center", fontsize=8, bbox=box)
        axes.set(title=name, xticks=[], yticks=[])
    figure.suptitle(title)
    return figure


def shades(values: Tensor, title: str, xlabel: str, ylabel: str, label: str) -> "Figure":
    """Draw numbers in [0, 1] as shades, the first row at the top; rows and columns count from 1.

    Args:
        values: (rows, columns).
        xlabel, ylabel: what columns and rows are.
        label: what the numbers are.
    """
    figure, axes = _new_axes(7.0, 4.0)
    edges = (0.5, values.shape[1] + 0.5, values.shape[0] + 0.5, 0.5)
    image = axes.imshow(values.detach().cpu().numpy(), aspect="auto", vmin=0, vmax=1, extent=edges)
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    figure.colorbar(image, ax=axes, label=label)
    return figure


def values_over(
    panels: Mapping[str, Mapping[str, Mapping[float, float]]], title: str, xlabel: str, logarithmic: Sequence[str] = ()
) -> "Figure":
    """Draw curves over a setting, such as a depth, in panels side by side.

    Args:
        panels: what a panel shows -> name of a curve -> setting -> value.
        xlabel: what the setting is.
        logarithmic: the panels whose values are drawn on a logarithmic axis.
    """
    figure = new_figure(5.0 * len(panels) + 1.6, 4.0)
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (ylabel, curves) in zip(row, panels.items(), strict=True):
        for name, points in curves.items():
            axes.plot(list(points), list(points.values()), marker="o", label=name)
        axes.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if ylabel in logarithmic else "linear")
        axes.grid(alpha=0.3)
    figure.legend(*row[0].get_legend_handles_labels(), loc="outside right center", fontsize="small")
    figure.suptitle(title)
    return figure
