"""What students and torch call the inputs of operations, and what their other parameters are to be left at."""

from collections.abc import Callable
from typing import Any, Final

import torch

from .definition import Arguments

Filler = Callable[[Arguments], Any]
"""Takes the arguments of a definition, and returns what to pass for a parameter that the definition does not know."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NAMES: Final = {
    "input": _words("x input inputs inp in xin data features hidden images image signal signals tensor"),
    "weight": _words("w weight weights wt kernel kernels filter filters theta gamma scale poids"),
    "bias": _words("b bias biases biais beta shift offset"),
    "prediction": _words(
        "yhat ypred pred preds prediction predictions predicted output outputs out input inputs inp logits logit x p"
        " prob probs proba probabilities scores score logprobs logp z y ychap estimate"
    ),
    "target": _words(
        "target targets targ y label labels ytrue true truth t gt groundtruth onehot yonehot classes cls expected"
    ),
    "indices": _words("indices index idx indexes ids tokens words input inputs x"),
    "table": _words("w weight weights table embedding embeddings emb matrix"),
    "query": _words("q query queries"),
    "key": _words("k key keys"),
    "value": _words("v value values"),
    "eps": _words("eps epsilon"),
    "dim": _words("dim axis"),
    "reduction": _words("reduction"),
    "kernel_size": _words("kernelsize k ks size window kernel poolsize"),
    "stride": _words("stride strides step s"),
    "padding": _words("padding pad"),
    "slope": _words("negativeslope slope alpha leak a"),
    "threshold": _words("threshold thresh"),
}
"""Role of an argument -> names of parameters that say it, in lower case, without underscores."""


def _always(*values: Any) -> tuple[Filler, ...]:
    return tuple(lambda _, value=value: value for value in values)


def _columns(arguments: Arguments) -> int:
    return int(arguments[0].shape[-1])


FILLERS: Final[dict[str, tuple[Filler, ...]]] = {
    **dict.fromkeys(
        ("runningmean", "movingmean", "rmean", "runmean"),
        (lambda arguments: torch.zeros(_columns(arguments), dtype=torch.float64),),
    ),
    **dict.fromkeys(
        ("runningvar", "movingvar", "rvar", "runvar"),
        (lambda arguments: torch.ones(_columns(arguments), dtype=torch.float64),),
    ),
    **dict.fromkeys(("training", "train", "istraining", "trainmode", "usebatchstats"), _always(True)),
    **dict.fromkeys(("momentum", "mom"), _always(0.1)),
    **dict.fromkeys(("eps", "epsilon"), _always(1e-5, 1e-8, 1e-12)),
    **dict.fromkeys(
        ("normalizedshape", "normshape"),
        (lambda arguments: (_columns(arguments),), lambda arguments: torch.Size([_columns(arguments)])),
    ),
    **dict.fromkeys(("approximate", "approx", "approximation"), _always("none", "tanh", False, True)),
    **dict.fromkeys(("approximateflag", "usetanh", "tanh"), _always(False, True)),
    **dict.fromkeys(
        ("inplace", "verbose", "debug", "ceilmode", "returnindices", "keepdim", "iscausal"), _always(False)
    ),
    **dict.fromkeys(("scalegradbyfreq", "sparse", "enablegqa", "causal"), _always(False)),
    **dict.fromkeys(("usebias", "hasbias", "countincludepad", "cudnnenabled"), _always(True)),
    "reduction": _always("mean", "sum", "none"),
    **dict.fromkeys(("sizeaverage", "reduce"), _always(None, True)),
    **dict.fromkeys(("weight", "weights", "classweight", "posweight", "mask", "attnmask"), _always(None)),
    **dict.fromkeys(("paddingidx", "maxnorm", "divisoroverride", "scale", "stacklevel", "dtype"), _always(None)),
    "ignoreindex": _always(-100),
    **dict.fromkeys(("labelsmoothing", "smoothing", "dropoutp", "dropout"), _always(0.0)),
    **dict.fromkeys(("dilation", "groups", "stride", "strides"), _always(1)),
    **dict.fromkeys(("padding", "pad"), _always(0)),
    "normtype": _always(2.0),
    **dict.fromkeys(("beta", "temperature", "temp"), _always(1.0)),
    "threshold": _always(20.0),
    "startdim": _always(1),
    "enddim": _always(-1),
    **dict.fromkeys(("dim", "axis"), _always(-1, 1)),
    "device": _always(torch.device("cpu")),
    **dict.fromkeys(("numclasses", "nclasses", "numfeatures", "nfeatures"), (_columns,)),
    **dict.fromkeys(("batchsize", "nsamples"), (lambda arguments: len(arguments[0]),)),
}
"""Name of a parameter -> what to pass where a definition does not know it, to change nothing; tried in turn."""

_LOSS = ("input", "target", "sizeaverage", "reduce", "reduction", "weight")
_CLASSES = ("input", "target", "weight", "sizeaverage", "ignoreindex", "reduce", "reduction", "labelsmoothing")
_BINARY = ("input", "target", "weight", "sizeaverage", "reduce", "reduction", "posweight")
_CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_SOFTMAX = ("input", "dim", "stacklevel", "dtype")
_MAX = ("input", "kernelsize", "stride", "padding", "dilation", "ceilmode", "returnindices")
_AVG = ("input", "kernelsize", "stride", "padding", "ceilmode", "countincludepad", "divisoroverride")

SIGNATURES: Final = {
    "linear": ("input", "weight", "bias"),
    "batch_norm": ("input", "runningmean", "runningvar", "weight", "bias", "training", "momentum", "eps"),
    "layer_norm": ("input", "normalizedshape", "weight", "bias", "eps", "cudnnenabled"),
    "conv1d": _CONV,
    "conv2d": _CONV,
    "mse": _LOSS,
    "l1": _LOSS,
    "cross_entropy": _CLASSES,
    "nll": _CLASSES[:-1],
    "bce": _BINARY[:-1],
    "bce_with_logits": _BINARY,
    "softmax": _SOFTMAX,
    "log_softmax": _SOFTMAX,
    "relu": ("input", "inplace"),
    "leaky_relu": ("input", "negativeslope", "inplace"),
    "silu": ("input", "inplace"),
    "gelu": ("input", "approximate"),
    "softplus": ("input", "beta", "threshold"),
    "embedding": ("input", "weight", "paddingidx", "maxnorm", "normtype", "scalegradbyfreq", "sparse"),
    "max_pool": _MAX,
    "max_pool1d": _MAX,
    "max_pool2d": _MAX,
    "avg_pool": _AVG,
    "avg_pool1d": _AVG,
    "avg_pool2d": _AVG,
    "attention": ("query", "key", "value", "attnmask", "dropoutp", "iscausal", "scale", "enablegqa"),
    "flatten": ("input", "startdim", "enddim"),
}
"""Operation -> torch's parameters of it, in torch's order, written as in `NAMES`."""
