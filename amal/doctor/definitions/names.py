"""What students and torch call the inputs of operations, and what their other parameters are to be left at."""

from collections.abc import Callable
from inspect import isfunction
from typing import Any, Final

import torch

from .definition import Arguments

Filler = Callable[[Arguments], Any]
"""From the arguments of a definition to what to pass for a parameter that the definition does not know."""

_NAMES = {
    "input": "x input inputs inp in xin data features hidden images image signal signals tensor",
    "weight": "w weight weights wt kernel kernels filter filters theta gamma scale poids",
    "bias": "b bias biases biais beta shift offset",
    "prediction": (
        "yhat ypred pred preds prediction predictions predicted output outputs out input "
        "inputs inp logits logit x p prob probs proba probabilities scores score logprobs "
        "logp z y ychap estimate"
    ),
    "target": (
        "target targets targ y label labels ytrue true truth t gt groundtruth onehot yonehot classes cls expected"
    ),
    "indices": "indices index idx indexes ids tokens words input inputs x",
    "table": "w weight weights table embedding embeddings emb matrix",
    "query": "q query queries",
    "key": "k key keys",
    "value": "v value values",
    "eps": "eps epsilon",
    "dim": "dim axis",
    "reduction": "reduction",
    "kernel_size": "kernelsize k ks size window kernel poolsize",
    "stride": "stride strides step s",
    "padding": "padding pad",
    "slope": "negativeslope slope alpha leak a",
    "threshold": "threshold thresh",
}
NAMES: Final = {role: frozenset(names.split()) for role, names in _NAMES.items()}
"""Role of an argument -> names of parameters that say it, in lower case, without underscores."""


def _columns(arguments: Arguments) -> int:
    return int(arguments[0].shape[-1])


_FILLERS: tuple[tuple[Any, ...], ...] = (
    (
        "runningmean movingmean rmean runmean",
        lambda arguments: torch.zeros(_columns(arguments), dtype=torch.float64),
    ),
    (
        "runningvar movingvar rvar runvar",
        lambda arguments: torch.ones(_columns(arguments), dtype=torch.float64),
    ),
    ("training train istraining trainmode usebatchstats", True),
    ("momentum mom", 0.1),
    ("eps epsilon", 1e-5, 1e-8, 1e-12),
    (
        "normalizedshape normshape",
        lambda arguments: (_columns(arguments),),
        lambda arguments: torch.Size([_columns(arguments)]),
    ),
    ("approximate approx approximation", "none", "tanh", False, True),
    ("approximateflag usetanh tanh", False, True),
    ("inplace verbose debug ceilmode returnindices keepdim iscausal", False),
    ("scalegradbyfreq sparse enablegqa causal", False),
    ("usebias hasbias countincludepad cudnnenabled", True),
    ("reduction", "mean", "sum", "none"),
    ("sizeaverage reduce", None, True),
    ("weight weights classweight posweight mask attnmask", None),
    ("paddingidx maxnorm divisoroverride scale stacklevel dtype", None),
    ("ignoreindex", -100),
    ("labelsmoothing smoothing dropoutp dropout", 0.0),
    ("dilation groups stride strides", 1),
    ("padding pad", 0),
    ("normtype", 2.0),
    ("beta temperature temp", 1.0),
    ("threshold", 20.0),
    ("startdim", 1),
    ("enddim", -1),
    ("dim axis", -1, 1),
    ("device", torch.device("cpu")),
    ("numclasses nclasses numfeatures nfeatures", _columns),
    ("batchsize nsamples", lambda arguments: len(arguments[0])),
)


def _filler(value: Any) -> Filler:
    return value if isfunction(value) else lambda _: value


FILLERS: Final = {name: tuple(map(_filler, values)) for names, *values in _FILLERS for name in names.split()}
"""Name of a parameter -> what to pass where a definition does not know it, to change nothing; tried in turn."""

_SIGNATURES = {
    "linear": "input weight bias",
    "batch_norm": "input runningmean runningvar weight bias training momentum eps",
    "layer_norm": "input normalizedshape weight bias eps cudnnenabled",
    "conv1d conv2d": "input weight bias stride padding dilation groups",
    "mse l1": "input target sizeaverage reduce reduction weight",
    "cross_entropy": "input target weight sizeaverage ignoreindex reduce reduction labelsmoothing",
    "nll": "input target weight sizeaverage ignoreindex reduce reduction",
    "bce": "input target weight sizeaverage reduce reduction",
    "bce_with_logits": "input target weight sizeaverage reduce reduction posweight",
    "softmax log_softmax": "input dim stacklevel dtype",
    "relu silu": "input inplace",
    "leaky_relu": "input negativeslope inplace",
    "gelu": "input approximate",
    "softplus": "input beta threshold",
    "embedding": "input weight paddingidx maxnorm normtype scalegradbyfreq sparse",
    "max_pool max_pool1d max_pool2d": ("input kernelsize stride padding dilation ceilmode returnindices"),
    "avg_pool avg_pool1d avg_pool2d": ("input kernelsize stride padding ceilmode countincludepad divisoroverride"),
    "attention": "query key value attnmask dropoutp iscausal scale enablegqa",
    "flatten": "input startdim enddim",
}
SIGNATURES: Final = {
    name: tuple(signature.split()) for names, signature in _SIGNATURES.items() for name in names.split()
}
"""Operation -> torch's parameters of it, in torch's order, written as in `NAMES`."""
