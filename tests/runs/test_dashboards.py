"""What the runs write for TensorBoard: names, charts, tables, graphs, thumbnails, and what to look at."""

import ast
import importlib
import inspect
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from running import events_of, run
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout

import amal.ops
from amal.experiments import digits, find_experiments, new_run_dir, run_name
from amal.nn import Autoencoder, Dropout, Linear, ReLU, Sequential, highway_network
from amal.runs import RunLogbook
from amal.runs.graph import ASCII, model_graph
from amal.runs.projector import colour
from amal.runs.run_info import RunInfo, non_default_settings
from amal.training import RunConfig
from amal.training.evaluation import readable
from tme1 import chain_rule, regression
from tme3 import classifier, highway

SCRIPTS = find_experiments()

# ---------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"depth": 10, "seed": 0}, "depth=10-seed=0"),
        ({"lr": 0.01}, "lr=0.01"),
        ({"hidden layers": 1, "activation": "tanh"}, "hidden-layers=1-activation=tanh"),
        ({"model": "LeNet, average pooling"}, "model=LeNet-average-pooling"),
        ({"shuffle": False, "batch_size": None}, "shuffle=no-batch-size=None"),
        ({"settings": ((600, 10), (5, 1))}, "settings=600+10+5+1"),
        ({"data": "../other"}, "data=..-other"),
    ],
)
def test_a_run_is_named_for_its_settings(settings, name):
    assert run_name(settings) == name


def test_names_sort_as_their_numbers_do():
    numbers = [2, 10, 300]
    assert sorted(numbers) == sorted(numbers, key=lambda number: digits(number, numbers))
    assert digits(7, [5, 7]) == "7"


def test_a_folder_says_what_was_asked_for(tmp_path):
    @dataclass(frozen=True)
    class Config(RunConfig):
        sizes: tuple[int, ...] = (5,)
        depth: int = 3

    assert non_default_settings(Config(run_dir=tmp_path, progress=False)) == {}
    assert non_default_settings(Config(seed=2, sizes=(7, 8))) == {"seed": 2, "sizes": (7, 8)}
    folder = new_run_dir("tme1.x", tmp_path, non_default_settings(Config(seed=2, sizes=(7, 8))))
    assert folder.name.endswith("_seed=2-sizes=7+8")
    folder.mkdir(parents=True)
    assert new_run_dir("tme1.x", tmp_path, {"seed": 2, "sizes": (7, 8)}) != folder
    assert len(new_run_dir("tme1.x", tmp_path, {"sizes": range(1000)}).name) < 150


def test_children_are_named_for_their_settings(tmp_path):
    book = RunLogbook(tmp_path)
    assert book.child({"depth": 10}) is book.child("depth=10")
    assert book.child({"depth": 10}).folder == tmp_path / "depth=10"


# ---------------------------------------------------------------------------------- what to look at


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_experiment_says_what_to_look_at(script):
    """And names tags that it writes, or that what it uses writes."""
    look = SCRIPTS[script].look
    assert look.split()[0] in {"Images,", "Custom", "Time", "Text,", "HParams,"}
    written = "".join(inspect.getsource(importlib.import_module(name)) for name in (script, *SOURCES))
    strings = {node.value for node in ast.walk(ast.parse(written)) if isinstance(node, ast.Constant)}
    for tag in look.split("`")[1::2]:
        words = tag.split("/")
        assert all(any(word in str(string) for string in strings) for word in words if not word[0].isdecimal()), tag


SOURCES = ("amal.training.evaluation", "amal.training.loop", "tme3._images", "tme3._codes", "tme2._classes")


def test_the_command_names_nothing_of_this_machine():
    args = [
        "--run-dir",
        "/tmp/x",
        "--epochs",
        "3",
        "--data_root=/data",
        "--resume",
        "--no-progress",
        "--data-root",
        "/d",
    ]
    identity = RunInfo("tme1.x", args, None)
    assert identity.command() == "python -m tme1.x --epochs 3"
    assert RunInfo("tme1.x", ["--models", "30 untied"], None).command() == "python -m tme1.x --models '30 untied'"


def test_the_text_page_begins_with_what_the_run_is(tmp_path):
    _, events = run(regression, tmp_path, "--epochs", "3", "--dataset", "line")
    about = "0 where to look/1.4 regression/text_summary"
    assert min(tag for tag in events.Tags()["tensors"] if tag.endswith("/text_summary")) == about
    [about] = events.Tensors(about)
    [said] = (value.decode() for value in about.tensor_proto.string_val)
    assert said.startswith("**1.4 linear regression")
    assert "    python -m tme1.regression --epochs 3 --dataset line\n" in said
    assert "1. Custom scalars, the loss and R²" in said
    assert str(tmp_path) not in said
    [config] = events.Tensors("settings/1.4 regression/text_summary")
    assert b"| epochs | 3 |" in config.tensor_proto.string_val[0]
    assert str(tmp_path).encode() not in config.tensor_proto.string_val[0]
    assert not any("where to look" in tag for tag in events_of(tmp_path / "run" / "dataset=line").Tags()["tensors"])


# ---------------------------------------------------------------------------------- charts and tables


CHARTS = "custom_scalars__config__"


def charts_of(folder):
    """Return the charts of the runs in a folder, as title -> run -> the tags that TensorBoard finds for it there."""
    runs = {path.parent.relative_to(folder).as_posix(): path.parent for path in folder.rglob("events.out.tfevents.*")}
    found = {name: EventAccumulator(str(path), {"tensors": 0}).Reload() for name, path in runs.items()}
    charts = {}
    for events in found.values():
        for written in events.Tensors(CHARTS) if CHARTS in events.Tags()["tensors"] else ():
            layout = Layout.FromString(written.tensor_proto.string_val[0])
            charts |= {chart.title: chart.multiline.tag for category in layout.category for chart in category.chart}
    return {
        title: {
            name: tags
            for name, events in found.items()
            if (tags := [tag for tag in events.Tags()["scalars"] for pattern in patterns if re.match(pattern, tag)])
        }
        for title, patterns in charts.items()
    }


def test_train_and_test_share_a_chart(tmp_path):
    _, events = run(classifier, tmp_path, "--epochs", "1")
    charts = charts_of(tmp_path / "run")
    metrics = {tag.split("/")[0] for tag in events.Tags()["scalars"] if tag.endswith("/train")}
    assert metrics == {"loss", "accuracy"}
    assert charts == {
        f"3.3 {metric}": {".": [f"3.3 {metric}/{part}" for part in ("train", "validation", "test")]}
        for metric in metrics
    }


@pytest.mark.slow
def test_a_chart_shows_its_own_experiment_and_nothing_else(tmp_path):
    """No loss in other units, which would flatten it; none is without a curve, or has more of a colour than parts."""
    run(classifier, tmp_path / "3.3", "--epochs", "1")
    run(chain_rule, tmp_path / "1.2", "--epochs", "3")
    run(regression, tmp_path / "1.4", "--epochs", "3")
    run(highway, tmp_path / "3.8", *["--epochs", "1", "--classifier-epochs", "1", "--depths", "2", "--width", "20"])
    charts = charts_of(tmp_path)
    assert {"1.2 loss", "1.4 line loss", "1.4 diabetes loss", "3.3 loss", "3.8 classifier loss"} <= charts.keys()
    for title, curves in charts.items():
        assert curves, title
        for name, tags in curves.items():
            assert name.split("/")[0] == title.split()[0]
            assert 2 <= len(tags) <= 3, title
            assert all(tag.startswith(title.replace("R²", "r2")) for tag in tags)
    assert len(charts["3.8 autoencoder loss"]) == 4


def test_the_table_has_a_row_for_each_run_and_no_columns_of_one_experiment_only(tmp_path):
    book = RunLogbook(tmp_path, shared={"experiment": "9.9 x", "seed": 3})
    for depth in (2, 10):
        child = book.child({"depth": depth})
        child.scalar("loss/test", 1.0, 7)
        child.settings({"depth": depth}, {"accuracy_test": depth / 10})
    book.settings({"everything": 1}, {"of_all": 0.5})
    book.text("note", "something")
    book.close()
    parent, child = (events_of(folder).summary_metadata for folder in (tmp_path, tmp_path / "depth=10"))
    assert not any("hparams" in tag for tag in parent)
    assert "_hparams_/session_start_info" in child
    assert "_hparams_/experiment" not in child  # TensorBoard would take its columns for all runs
    row = child["_hparams_/session_start_info"].plugin_data.content
    assert all(word in row for word in (b"9.9 x", b"experiment", b"depth", b"seed"))
    [result] = events_of(tmp_path / "depth=10").Scalars("result/accuracy_test")
    assert (result.step, result.value) == (7, 1.0)


# ---------------------------------------------------------------------------------- graphs


def nodes_of(model, input):
    return {node.name: node for node in model_graph(model, input).node}


def test_the_graph_names_layers_parameters_and_hand_written_operations():
    model = Sequential(Linear(5, 4), ReLU(), Linear(4, 2))
    nodes = nodes_of(model, torch.randn(3, 5))
    assert set(nodes) == {"input", "output", "1.ReLU/ReLU"} | {
        f"{layer}.Linear/{what}" for layer in (0, 2) for what in ("weight", "bias", "Linear")
    }
    first = nodes["0.Linear/Linear"]
    assert (first.op, first.device) == ("LinearFunction", "by hand")
    assert list(first.input) == ["input", "0.Linear/weight", "0.Linear/bias"]
    assert first.attr["about"].s.decode().startswith("y = x W^T + b for input (n, in)")
    assert [size.size for size in first.attr["_output_shapes"].list.shape[0].dim] == [3, 4]
    assert list(nodes["output"].input) == ["2.Linear/Linear"]
    assert nodes["2.Linear/bias"].attr["about"].s == b"state_dict: 2.bias"


def test_the_card_of_a_node_can_show_every_formula():
    functions = [each for name, each in vars(amal.ops).items() if name.endswith("Function")]
    assert len(functions) > 20
    for function in functions:
        formula = (inspect.getdoc(function) or "").split("\n")[0]
        assert formula.translate(ASCII).isascii(), formula


def test_the_graph_of_highways_and_of_tied_weights_is_connected():
    for model in (highway_network((1, 4, 4), 3, 6, 3), Autoencoder((1, 4, 4), (8, 5))):
        nodes = nodes_of(model, torch.rand(2, 1, 4, 4))
        assert all(name in nodes for node in nodes.values() for name in node.input)
        seen, todo = set(), ["output"]
        while todo:
            name = todo.pop()
            todo += [each for each in nodes[name].input if each not in seen]
            seen.add(name)
        assert seen == set(nodes)
        assert not any(node.op.startswith("prim::") for node in nodes.values())
    [transpose] = (node for name, node in nodes.items() if name.startswith("decoder/0") and node.op == "t")
    assert list(transpose.input) == ["encoder/3.Linear/weight"]  # the last of the encoder is the first of the decoder


def test_an_operation_applied_twice_has_two_nodes():
    class Twice(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = Linear(3, 3)

        def forward(self, input):
            return self.layer(self.layer(input))

    nodes = nodes_of(Twice(), torch.randn(2, 3))
    assert list(nodes["layer/Linear (2)"].input) == ["layer/Linear", "layer/weight", "layer/bias"]


class Reversal(torch.autograd.Function):
    """y = x, and the gradient the other way round."""

    @staticmethod
    def forward(ctx, input):
        return input

    @staticmethod
    def backward(ctx, grad_output):
        return -grad_output


class Doubled(Reversal):
    @staticmethod
    def forward(ctx, input):
        return Reversal.apply(2 * input)


reverse, double = Reversal.apply, Doubled.apply


def test_a_function_of_any_form_is_one_node():
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("scale", torch.ones(3))

        def forward(self, input):
            first, second = (reverse(input) * self.scale).chunk(2)
            return torch.cat([double(first), second.relu_()]).mT

    forward = vars(Doubled)["forward"]
    nodes = nodes_of(Model(), torch.randn(4, 3))
    assert {name: list(node.input) for name, node in nodes.items()} == {
        "input": [],
        "Reversal": ["input"],
        "scale": [],
        "view_as": ["Reversal", "Reversal"],  # torch's: what forward returns is its input, and may not be that
        "mul": ["view_as", "scale"],
        "chunk": ["mul"],
        "Doubled": ["chunk"],
        "relu_": ["chunk"],
        "cat": ["Doubled", "relu_"],
        "mT": ["cat"],
        "output": ["mT"],
    }
    assert nodes["Doubled"].attr["about"].s == b"y = x, and the gradient the other way round."
    assert vars(Doubled)["forward"] is forward  # as before


def test_drawing_the_graph_changes_nothing():
    model = Sequential(Linear(3, 3), Dropout(0.5), torch.nn.BatchNorm1d(3)).train()
    before, random = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
    model_graph(model, torch.randn(4, 3, generator=torch.Generator().manual_seed(0)))
    assert model.training
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_parameters_are_called_by_the_kind_of_their_layer():
    model = Sequential(Linear(2, 3), Sequential(ReLU(), Linear(3, 1)))
    names = [readable(model, path) for path, _ in model.named_parameters()]
    assert names == ["0.Linear.weight", "0.Linear.bias", "1.Sequential.1.Linear.weight", "1.Sequential.1.Linear.bias"]
    assert readable(Linear(2, 3), "weight") == "weight"


# ---------------------------------------------------------------------------------- the projector


def test_thumbnails_have_the_colours_of_their_labels():
    black = torch.zeros(4, 1, 8, 8)
    black[:, :, 0, 0] = 1  # a white corner
    pictures = colour(black, ["b", "a", "b", "a"])
    assert pictures.shape == (4, 3, 26, 26)
    assert torch.equal(pictures[0], pictures[2])
    assert not torch.equal(pictures[0], pictures[1])
    assert (pictures[:, :, 0] == 1).all()  # a white frame
    assert (pictures[:, :, 1:4, 1:4] == 1).all()
    assert torch.allclose(pictures[1, :, 10, 10], torch.tensor([0x1F, 0x77, 0xB4]) / 255)


def test_coloured_thumbnails_keep_their_colours_and_large_ones_their_size():
    pictures = torch.rand(2, 3, 28, 30)
    assert torch.equal(colour(pictures, ["a", "b"])[:, :, 1:-1, 1:-1], pictures)


def test_a_projector_needs_no_configuration(tmp_path):
    for resume in (False, True):  # an interrupted run, and the one that goes on
        book = RunLogbook(tmp_path, resume)
        book.embedding(torch.randn(4, 3), ["0", "1", "0", "1"], torch.rand(4, 1, 8, 8))
        book.close()
    config = Path(tmp_path / "projector_config.pbtxt").read_text()
    assert config.count("embeddings {") == 1
    assert "single_image_dim: 26" in config
