"""On the inputs that torch tests its own operations with, amal's do what torch's do; what torch refuses they refuse."""

import warnings
from functools import lru_cache

import pytest
import torch
from torch.testing import assert_close
from torch.utils._pytree import tree_flatten, tree_map

import amal.functional as F
from amal.ops import OPERATIONS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torch's, about its own
    from torch.testing._internal import optests
    from torch.testing._internal.common_methods_invocations import op_db

DTYPES = (torch.float64, torch.float32)
TOLERANCE = {torch.float64: {}, torch.float32: {"rtol": 1e-3, "atol": 2e-4}}
"""In float64 right is told from wrong; in float32 sums of opposite numbers round as they like, see the error budget."""
SOME = 5
"""Samples of an operation that are enough each time: the pooling ones have hundreds, all combinations of options."""
INFOS = [
    info
    for info in op_db
    if hasattr(F, info.name.removeprefix("nn.functional.")) and info.variant_test_name != "complex"
]


def name_of(info):
    return info.name.removeprefix("nn.functional.")


def functions(info):
    """Ours and torch's, both after the same seed: dropout and attention draw."""

    def seeded(module):
        def call(*args, **kwargs):
            torch.manual_seed(0)
            return getattr(module, name_of(info))(*in_order(info, args), **kwargs)

        return call

    return seeded(F), seeded(torch.nn.functional)


def in_order(info, args):
    """The arguments as the function takes them: embedding's samples begin with the weight."""
    return (args[1], args[0], *args[2:]) if name_of(info) == "embedding" else args


class Sample:
    """The variables of a sample apart from its constants: what an operation is differentiated by."""

    def __init__(self, sample):
        self.leaves, self.spec = tree_flatten((sample.input, sample.args, sample.kwargs))
        self.places = [i for i, leaf in enumerate(self.leaves) if isinstance(leaf, torch.Tensor) and leaf.requires_grad]
        self.variables = tuple(self.leaves[i] for i in self.places)

    def __repr__(self):
        return repr(tree_map(lambda leaf: tuple(leaf.shape) if isinstance(leaf, torch.Tensor) else leaf, self.leaves))

    def arguments(self, variables):
        # copies, as running statistics are changed
        leaves = [leaf.clone() if isinstance(leaf, torch.Tensor) else leaf for leaf in self.leaves]
        for place, variable in zip(self.places, variables, strict=True):
            leaves[place] = variable
        input, args, kwargs = torch.utils._pytree.tree_unflatten(leaves, self.spec)
        return (input, *args), kwargs

    def of_variables(self, function):
        def call(*variables):
            args, kwargs = self.arguments(variables)
            return function(*args, **kwargs)

        return call


def main_output(output):
    """The output that has a derivative: indices have none."""
    return output[0] if isinstance(output, tuple) else output


def like(tensor, seed=0):
    return torch.randn(tensor.shape, dtype=tensor.dtype, generator=torch.Generator().manual_seed(seed))


def value(function, sample):
    return function(*sample.variables)


def gradient(function, sample):
    output = main_output(function(*sample.variables))
    return torch.autograd.grad(output, sample.variables, like(output), allow_unused=True)


def second_gradient(function, sample):
    output = main_output(function(*sample.variables))
    grad_output = like(output).requires_grad_()
    first = torch.autograd.grad(output, sample.variables, grad_output, create_graph=True, allow_unused=True)
    total = sum((g * like(g, 1)).sum() for g in first if g is not None)
    leaves = (*sample.variables, grad_output)
    second = torch.autograd.grad(total, leaves, allow_unused=True)
    return tuple(torch.zeros_like(leaf) if g is None else g for g, leaf in zip(second, leaves, strict=True))


def forward_mode(function, sample):
    tangents = tuple(like(v, 2) for v in sample.variables)
    variables = tuple(v.detach() for v in sample.variables)
    return torch.func.jvp(lambda *v: main_output(function(*v)), variables, tangents)


def vmap(function, sample):
    """Over the first variable, beside the same in a loop; flipped, not scaled, so that probabilities stay such."""
    first, *others = (v.detach() for v in sample.variables)
    turned = first.flip(0) if first.dim() else first
    return torch.vmap(lambda x: function(x, *others), randomness="same")(torch.stack([first, turned]))


MODES = {mode.__name__: mode for mode in (value, gradient, second_gradient, forward_mode, vmap)}


@lru_cache(maxsize=4)
def samples_of(place, dtype):
    info = INFOS[place]
    return [Sample(sample) for sample in info.sample_inputs("cpu", dtype, requires_grad=True)]


def check(info, dtype, mode, every):
    """Compare on samples that torch itself can do, each or of many some; return how many those were."""
    if mode is forward_mode and not info.supports_forward_ad:
        pytest.skip(f"torch has no forward mode for {info.name}")
    ours, theirs = functions(info)
    samples = samples_of(INFOS.index(info), dtype)
    compared = 0
    for sample in samples if every else samples[:: 1 + len(samples) // SOME]:
        if not sample.variables:
            continue
        try:
            expected = mode(sample.of_variables(theirs), sample)
        except (RuntimeError, NotImplementedError):
            continue
        actual = mode(sample.of_variables(ours), sample)
        assert_close(actual, expected, **TOLERANCE[dtype], equal_nan=True, msg=lambda m, s=sample: f"{s}: {m}")
        compared += 1
    assert compared or not samples
    return compared


every_operation = pytest.mark.parametrize("info", INFOS, ids=lambda info: f"{name_of(info)}{info.variant_test_name}")
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
every_mode = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
quiet = pytest.mark.filterwarnings("ignore")  # deprecated arguments are among the samples, and torch's own warnings


def test_every_operation_of_torch_is_looked_for():
    assert set(OPERATIONS) - {name_of(info) for info in INFOS} == {"highway"}


@pytest.mark.one_in(6)
@quiet
@every_mode
@every_operation
def test_agrees_on_some_of_torchs_samples(info, mode):
    dtype = torch.float32 if mode in (value, gradient) else torch.float64
    print(f"{check(info, dtype, mode, every=False)} samples")


@quiet
@pytest.mark.slow
@every_operation
@every_dtype
@every_mode
def test_agrees_on_all_of_torchs_samples(info, dtype, mode):
    print(f"{check(info, dtype, mode, every=True)} samples")


@pytest.mark.one_in(6)
@quiet
@pytest.mark.parametrize("info", [i for i in INFOS if i.error_inputs_func], ids=name_of)
def test_refuses_what_torch_refuses(info):
    ours, _ = functions(info)
    for error in info.error_inputs("cpu"):
        sample = error.sample_input
        with pytest.raises((ValueError, TypeError, IndexError, NotImplementedError), match=name_of(info)):
            ours(sample.input, *sample.args, **sample.kwargs)


@pytest.mark.one_in(4)
@quiet
@every_operation
def test_passes_torchs_checks_of_custom_operators(info):
    """What torch.library.opcheck asks that applies: without values, and traced ahead of time with any sizes."""
    function = getattr(F, name_of(info))
    for sample in samples_of(INFOS.index(info), torch.float64)[:1]:
        args, kwargs = sample.arguments(sample.variables)
        args = in_order(info, args)
        if name_of(info) == "dropout":
            kwargs["training"] = False  # two draws differ
        optests.fake_check(function, args, kwargs)
        optests.aot_autograd_check(function, args, kwargs, dynamic=True)
