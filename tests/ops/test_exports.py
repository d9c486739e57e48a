"""Operations, Functions and layers are exported as soon as their file is there, and type checkers are told so."""

import exports
import pytest

import amal.functional as F
import amal.nn
import amal.ops


def test_every_file_is_an_operation_under_its_name():
    assert "tanh" in amal.ops.OPERATIONS
    for name in amal.ops.OPERATIONS:
        assert getattr(F, name) is getattr(amal.ops, name)
        assert getattr(F, name).__name__ == name
        assert getattr(F, name).__module__ == f"amal.ops.{name}"
    assert amal.ops.TanhFunction.__module__ == "amal.ops.tanh"
    assert {name for name in vars(F) if name.isidentifier() and not name.startswith("_")} == set(amal.ops.OPERATIONS)


@pytest.mark.parametrize("path", exports.stubs(), ids=lambda path: str(path.relative_to(exports.ROOT)))
def test_stubs_are_up_to_date(path):
    """If this fails: python tests/exports.py."""
    assert path.read_text(encoding="utf-8") == exports.stubs()[path]


def test_a_new_operation_makes_the_stubs_stale(monkeypatch):
    monkeypatch.setattr(amal.ops, "OPERATIONS", (*amal.ops.OPERATIONS, "softplus"))
    stale = [path.name for path, text in exports.stubs().items() if path.read_text(encoding="utf-8") != text]
    assert stale == ["__init__.pyi", "functional.pyi"]


def test_a_layer_is_made_where_torch_has_one_without_parameters():
    layers = amal.nn.layers
    assert layers.torch_layer("cross_entropy").__name__ == "CrossEntropyLoss"
    assert layers.torch_layer("highway") is None
    assert not {"Linear", "Conv2d", "LayerNorm", "Embedding"} & {*layers.LAYERS}  # written by hand
    assert "amal.functional.relu" in amal.nn.ReLU.__doc__
