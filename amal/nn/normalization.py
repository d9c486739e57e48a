"""Layers that normalise: they hold the affine parameters and, for batches, the running statistics."""

from torch import Tensor, nn

from amal import functional as F


class _BatchNorm(nn.modules.batchnorm._BatchNorm):
    """What torch's batch normalisation does, with amal's function."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise each channel, by the batch in training and by the running statistics in evaluation."""
        self._check_input_dim(input)  # type: ignore[no-untyped-call]
        momentum = 0.0 if self.momentum is None else self.momentum
        tracked = self.running_mean is not None or self.running_var is not None
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:  # the mean over all batches so far
                momentum = 1.0 / float(self.num_batches_tracked)
        moved = not self.training or self.track_running_stats
        return F.batch_norm(
            input,
            self.running_mean if moved else None,
            self.running_var if moved else None,
            self.weight,
            self.bias,
            self.training or not tracked,
            momentum,
            self.eps,
        )


class BatchNorm1d(_BatchNorm, nn.BatchNorm1d):
    """Batch normalisation, with torch.nn.BatchNorm1d's arguments; see amal.functional.batch_norm.

    Shapes: input and output (n, c) or (n, c, l); weight, bias, running_mean and running_var (c).
    """


class BatchNorm2d(_BatchNorm, nn.BatchNorm2d):
    """Batch normalisation, with torch.nn.BatchNorm2d's arguments; see amal.functional.batch_norm.

    Shapes: input and output (n, c, h, w); weight, bias, running_mean and running_var (c).
    """


class LayerNorm(nn.LayerNorm):
    """Layer normalisation, with torch.nn.LayerNorm's arguments; see amal.functional.layer_norm.

    Shapes: input and output (*, normalized_shape), weight and bias (normalized_shape).
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise each example over its last dimensions."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)
