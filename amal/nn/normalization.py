"""Layers that normalise: they hold the affine parameters and, for batches, the running statistics."""

from torch import Tensor, nn

from amal import _torch
from amal import functional as F


def _normalise(layer: nn.BatchNorm1d | nn.BatchNorm2d, input: Tensor) -> Tensor:
    """Normalise each channel, by the batch in training and by the running statistics in evaluation."""
    _torch.check_dimensions(layer, input)
    momentum = 0.0 if layer.momentum is None else layer.momentum
    tracked = layer.running_mean is not None or layer.running_var is not None
    if layer.training and layer.track_running_stats and layer.num_batches_tracked is not None:
        layer.num_batches_tracked.add_(1)
        if layer.momentum is None:  # the mean over all batches so far
            momentum = 1.0 / float(layer.num_batches_tracked)
    moved = not layer.training or layer.track_running_stats
    return F.batch_norm(
        input,
        layer.running_mean if moved else None,
        layer.running_var if moved else None,
        layer.weight,
        layer.bias,
        layer.training or not tracked,
        momentum,
        layer.eps,
    )


class BatchNorm1d(nn.BatchNorm1d):
    """Batch normalisation, with torch.nn.BatchNorm1d's arguments; see amal.functional.batch_norm.

    Shapes: input and output (n, c) or (n, c, l); weight, bias, running_mean and running_var (c).
    """

    forward = _normalise


class BatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation, with torch.nn.BatchNorm2d's arguments; see amal.functional.batch_norm.

    Shapes: input and output (n, c, h, w); weight, bias, running_mean and running_var (c).
    """

    forward = _normalise


class LayerNorm(nn.LayerNorm):
    """Layer normalisation, with torch.nn.LayerNorm's arguments; see amal.functional.layer_norm.

    Shapes: input and output (*, normalized_shape), weight and bias (normalized_shape).
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise each example over its last dimensions."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)
