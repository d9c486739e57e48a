"""Losses as modules, so that they can be handed around like models."""

from torch import Tensor, nn

from amal import functional as F


class MSELoss(nn.MSELoss):
    """Mean squared error, with torch.nn.MSELoss's arguments; see amal.functional.mse_loss.

    Shapes: input and target (*), equal; output a scalar, or (*) for reduction='none'.
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of predictions `input` against `target`."""
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(nn.L1Loss):
    """Mean absolute error, with torch.nn.L1Loss's arguments; see amal.functional.l1_loss.

    Shapes: input and target (*), equal; output a scalar, or (*) for reduction='none'.
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of predictions `input` against `target`."""
        return F.l1_loss(input, target, reduction=self.reduction)


class NLLLoss(nn.NLLLoss):
    """Negative log-likelihood, with torch.nn.NLLLoss's arguments; see amal.functional.nll_loss.

    Shapes: input (c), (n, c) or (n, c, *), target (), (n) or (n, *); output a scalar, or that of target for
    reduction='none'.
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of log-probabilities `input` against class indices `target`."""
        return F.nll_loss(input, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class CrossEntropyLoss(nn.CrossEntropyLoss):
    """Cross-entropy, with torch.nn.CrossEntropyLoss's arguments; see amal.functional.cross_entropy.

    Shapes: input (c), (n, c) or (n, c, *), target (), (n) or (n, *) for class indices, as input for class
    probabilities; output a scalar, or (), (n) or (n, *) for reduction='none'.
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits `input` against class indices or class probabilities `target`."""
        return F.cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class BCELoss(nn.BCELoss):
    """Binary cross-entropy, with torch.nn.BCELoss's arguments; see amal.functional.binary_cross_entropy.

    Shapes: input and target (*), equal; output a scalar, or (*) for reduction='none'.
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of probabilities `input` against `target`."""
        return F.binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(nn.BCEWithLogitsLoss):
    """Binary cross-entropy of logits, with torch.nn.BCEWithLogitsLoss's arguments.

    See amal.functional.binary_cross_entropy_with_logits.

    Shapes: input and target (*), equal; output a scalar, or (*) for reduction='none'.
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of logits `input` against `target`."""
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, pos_weight=self.pos_weight, reduction=self.reduction
        )
