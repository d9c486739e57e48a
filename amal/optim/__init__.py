"""Optimisers: what is done with the gradients, written by hand as torch.optim.Optimizer subclasses."""

from .adadelta import Adadelta as Adadelta
from .adam import Adam as Adam
from .sgd import SGD as SGD
