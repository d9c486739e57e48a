"""`amal show` and `amal graph`: what they print is true, and what is wrong is seen."""

import math
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
import torch
from running import answer

from amal import cli, text
from amal.functional import linear, relu, tanh
from amal.graph import as_dot, as_text, describe_graph, walk
from amal.nn import Autoencoder, lenet
from amal.proofs.matrix import OPERATIONS
from amal.show import EXAMPLES, operations, page, source, work
from amal.show.networks import NETWORKS, network_graph
from amal.show.quantity import Line, Quantity, entry, indices, numeral, slope, symbol
from amal.show.worked import as_text as example_as_text
from tests.faults import ForwardSlightlyOff
from tme1._mistakes import MISTAKES

PYTHON = {"·": "*", "−": "-", "²": "**2", "√": "sqrt", "e^": "exp", "σ": "sigma", "Φ": "normal"}
MEANING = {
    "sqrt": math.sqrt,
    "exp": math.exp,
    "log": math.log,
    "tanh": math.tanh,
    "max": max,
    "abs": abs,
    "sigma": lambda x: 1 / (1 + math.exp(-x)),
    "normal": lambda x: (1 + math.erf(x / math.sqrt(2))) / 2,
    "sign": lambda x: (x > 0) - (x < 0),
}


def calculated(numbers):
    """What Python makes of a formula as it is printed, its numbers put in."""
    for sign, meaning in PYTHON.items():
        numbers = numbers.replace(sign, meaning)
    return eval(numbers, {"__builtins__": {}}, MEANING)


def lines_of(op):
    return [line for line in EXAMPLES[op].on_paper().lines if isinstance(line, Line)]


# ---------------------------------------------------------------------------------- the calculation on paper


def test_every_operation_has_an_example():
    assert EXAMPLES.keys() <= set(OPERATIONS) == operations().keys()


@pytest.mark.parametrize("op", EXAMPLES)
def test_paper_backward_and_slope_agree(op):
    worked = work(op)
    assert all(number.paper is not None for number in (*worked.output, *worked.gradients))
    assert max(number.error for number in (*worked.output, *worked.gradients)) < 1e-8
    assert all(holds for holds, _ in worked.verdicts.values()), worked.verdicts
    assert len(worked.gradients) == sum(tensor.numel() for tensor in EXAMPLES[op].tensors())


@pytest.mark.parametrize("op", EXAMPLES)
def test_whoever_calculates_with_the_printed_numbers_gets_the_printed_value(op):
    for line in lines_of(op):
        value = line.quantity.value
        assert calculated(line.quantity.numbers) == pytest.approx(value, rel=2e-3, abs=1e-3), line


@pytest.mark.parametrize("op", EXAMPLES)
def test_a_name_written_twice_has_one_value(op):
    values = {}
    for line in lines_of(op):
        assert values.setdefault(line.name, line.quantity.value) == pytest.approx(line.quantity.value), line


@pytest.mark.parametrize("op", EXAMPLES)
def test_every_symbol_of_a_formula_was_given_or_written_before(op):
    example = EXAMPLES[op]
    seen = {entry("g", index) for index in indices(example.gradient())}
    for variable, tensor in zip(example.variables, example.tensors(), strict=True):
        seen |= {entry(variable.letter, index) for index in indices(tensor)}
    if op == "dropout":
        seen |= {"m_0", "m_1", "m_2"}
    for line in lines_of(op):
        used = re.findall(r"∂[^\s/()]+/∂[^\s/()]+|[^\s()∂/²−\[\]√]+_[\d,]*\d", line.quantity.symbols)
        assert set(used) <= seen, line
        seen.add(line.name)


def test_the_example_of_linear_has_the_numbers_of_the_formulas():
    x, W, b = (tensor.detach() for tensor in EXAMPLES["linear"].tensors())
    g = EXAMPLES["linear"].gradient()
    text = example_as_text(work("linear"), 100)
    right = {"y": x @ W.T + b, "∂L/∂x": g @ W, "∂L/∂W": g.T @ x, "∂L/∂b": g.sum(0)}
    for letter, tensor in right.items():
        for index in indices(tensor):
            name = entry(letter, index)
            printed = re.findall(rf"^  {name} = .*= (\S+)$", text, re.MULTILINE)
            assert printed == [numeral(float(tensor[index]))], name
            (row,) = re.findall(rf"^  {name}  +(\S+)  +(\S+)", text, re.MULTILINE)
            assert set(row) == {numeral(float(tensor[index]))}


def test_a_calculation_is_written_as_one_writes_it():
    x, y, z = symbol("x", 3), symbol("y", -2), symbol("z", 0.5)
    written = {
        (x + y): ("x + y", "3 + (−2)", 1),
        (x - (y + z)): ("x − (y + z)", "3 − (−2 + 0.5)", 4.5),
        (x * (1 - y)): ("x (1 − y)", "3·(1 − (−2))", 9),
        (x / (y * z)): ("x / (y z)", "3 / ((−2)·0.5)", -3),
        (-(x * y)): ("−x y", "−3·(−2)", 6),
        (-(x + y)): ("−(x + y)", "−(3 + (−2))", -1),
        (x + -z): ("x + (−z)", "3 + (−0.5)", 2.5),
        (y.square() * x): ("y² x", "(−2)²·3", 12),
        ((x + y).square()): ("(x + y)²", "(3 + (−2))²", 1),
    }
    for quantity, (symbols, numbers, value) in written.items():
        assert (quantity.symbols, quantity.numbers, quantity.value) == (symbols, numbers, value)
        assert calculated(numbers) == value


@pytest.mark.parametrize(
    ("number", "text"), [(-0.0, "0"), (1e-17, "0"), (-1.5, "−1.5"), (0.088031, "0.08803"), (12, "12")]
)
def test_numbers_are_short(number, text):
    assert numeral(number) == text


# ---------------------------------------------------------------------------------- what is wrong shows


def test_a_wrong_factor_shows_in_every_column_and_in_the_verdict():
    wrong = work("linear", lambda x, W, b: MISTAKES["SwappedOrder"].operation(x, W, b))
    assert max(number.error for number in wrong.gradients) > 1
    assert wrong.verdicts["gradcheck"][0] is False
    text = example_as_text(wrong, 100)
    assert "torch.autograd.gradcheck: False" in text
    assert "Jacobian mismatch" in text


def test_a_bias_gradient_that_is_not_summed_shows_although_gradcheck_says_true():
    wrong = work("linear", lambda x, W, b: MISTAKES["BiasNotSummed"].operation(x, W, b))
    assert wrong.verdicts["gradcheck"][0] is True
    holds, why = wrong.verdicts["exact shapes"]
    assert holds is False
    assert "gradient of input 2 is ((2, 2)" in why
    assert why.splitlines()[0] in example_as_text(wrong, 100)


def test_a_wrong_forward_shows_beside_the_paper():
    wrong = work("linear", lambda x, W, b: ForwardSlightlyOff.apply(x, W, b))
    assert max(number.error for number in wrong.output) == pytest.approx(0.005)  # of 5, a thousandth


def test_a_wrong_calculation_on_paper_shows(monkeypatch):
    monkeypatch.setitem(EXAMPLES, "tanh", replace(EXAMPLES["tanh"], chain=EXAMPLES["sigmoid"].chain))
    assert min(number.error for number in work("tanh").gradients) > 1e-3


def test_wrong_numbers_put_in_are_seen():
    assert calculated(Quantity("x y", "3·(−2)", -7.0).numbers) != pytest.approx(-7, rel=2e-3, abs=1e-3)


# ---------------------------------------------------------------------------------- the page


@pytest.mark.one_in(2)
@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("op", EXAMPLES)
def test_a_page_has_derivation_code_and_example_and_fits(op, width):
    text = page(op, width)
    assert max(map(len, text.splitlines())) <= width
    assert source.headline(op).split(":")[0] in text
    assert "def backward(" in text
    assert f"def {op}(" in text
    assert text.rstrip().endswith("True")
    assert "\033" not in text


@pytest.mark.parametrize(
    ("op", "shown"),
    [
        ("softmax", ["class SoftmaxFunction"]),
        ("conv1d", ["class ConvolutionFunction", "def gradient_of_weight", "# amal/ops/_convolution.py"]),
        ("mse_loss", ["class MSEFunction", "def gradient_per_entry"]),
        ("max_pool1d", ["class MaxPool2dFunction"]),
        ("highway", ["def _transform", "def _times_slope"]),
    ],
)
def test_the_code_is_that_which_computes_the_example(op, shown):
    text = source.code(op, 120, coloured=False)
    for part in shown:
        assert part in text
    assert "WeightedLossFunction" not in text


@pytest.mark.parametrize("op", ["linear", "batch_norm", "conv2d"])
def test_colours_change_no_character(op):
    plain, coloured = page(op, 100), page(op, 100, coloured=True)
    assert coloured != plain
    assert re.sub(r"\033\[[\d;]+m", "", coloured) == plain
    keywords = re.findall(r"\033\[34m(\w+)\033", coloured)
    assert {"class", "def", "return"} <= set(keywords)


@pytest.mark.parametrize(
    ("terminal", "no_color", "coloured"), [(True, "", True), (True, "1", False), (False, "", False)]
)
def test_colours_are_for_terminals_that_want_them(monkeypatch, terminal, no_color, coloured):
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    monkeypatch.setenv("NO_COLOR", no_color)
    assert text.has_colours() is coloured


# ---------------------------------------------------------------------------------- the commands


def test_show_without_a_name_lists_the_operations(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    cli.show(())
    printed = capsys.readouterr().out
    assert re.findall(r"^\w+", printed, re.MULTILINE) == list(OPERATIONS)
    assert "Affine map: the layer that every network is made of." in printed


def test_show_takes_several_names(capsys):
    cli.show(("tanh", "relu"))
    printed = capsys.readouterr().out
    assert printed.index("class TanhFunction") < printed.index("class ReLUFunction")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("show tanh nonsense", "amal show: no operation nonsense; there are linear, "),
        ("graph nonsense", "amal graph: no network nonsense; there are mlp, "),
        ("graph mlp --batch-size 0", "amal graph: --batch-size is 0, expected at least 1"),
        ("graph mlp lenet --dot x.dot", "write about one network"),
        ("graph --dot x.dot", "write about one network"),
    ],
)
def test_what_cannot_be_shown_is_said_in_words(line, message):
    done = answer(*line.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_without_graphviz_a_picture_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda program: None)
    done = answer("graph", "mlp", "--svg", str(tmp_path / "mlp.svg"))
    assert done.returncode == 2
    assert "--dot writes what it reads" in done.stderr


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    done = answer("graph", "mlp", "--dot", str(tmp_path / "nowhere" / "mlp.dot"))
    assert done.returncode == 2
    assert "nowhere" in done.stderr


@pytest.mark.skipif(not shutil.which("dot"), reason="Graphviz is not there")
def test_with_graphviz_a_picture_is_drawn(tmp_path):
    cli.graph(("mlp",), svg=tmp_path / "mlp.svg", dot=tmp_path / "mlp.dot")
    assert "TanhFunction" in (tmp_path / "mlp.svg").read_text()
    assert (tmp_path / "mlp.dot").read_text().startswith("digraph {")


# ---------------------------------------------------------------------------------- the graph


def packed(compute):
    """The output, and the bytes that saved_tensors_hooks see on the way: all, and each block once."""
    sizes, blocks = [], {}

    def pack(tensor):
        sizes.append(tensor.nbytes)
        storage = tensor.untyped_storage()
        blocks[storage._cdata] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = compute()
    return output, sum(sizes), len(sizes), sum(size for size, _ in blocks.values())


def tied():
    model, images = Autoencoder((1, 4, 4), (6, 3)), torch.rand(5, 1, 4, 4)
    output, size, number, blocks = packed(lambda: model(images))
    return describe_graph(output, dict(model.named_parameters())), size, number, blocks


def test_the_bytes_of_a_tied_autoencoder_are_those_that_hooks_see():
    graph, size, number, blocks = tied()
    assert (graph.bytes, len(graph.saved)) == (size, number)
    parameters = {tensor.block: tensor.block_bytes for tensor in graph.saved if tensor.has_name}
    assert graph.own_bytes == blocks - sum(parameters.values())


def test_a_tied_weight_is_one_leaf_used_twice():
    graph, *_ = tied()
    leaves = {leaf.name: leaf for leaf in graph.leaves}
    assert leaves.keys() == dict(Autoencoder((1, 4, 4), (6, 3)).named_parameters()).keys()
    assert [len(leaf.users) for leaf in graph.leaves] == [2, 1, 2, 1, 1, 1]
    text = as_text(graph)
    assert text.count("● encoder.1.weight (6, 16), used twice") == 2
    first, second = leaves["encoder.1.weight"].users
    assert f"encoder.1.weight enters {first} and {second}: one tensor" in text
    keeping = [node for node in graph.nodes for tensor in node.saved if tensor.description == "encoder.1.weight"]
    assert [node.name for node in keeping] == ["LinearFunction", "TransposedLinearFunction"]


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_is_drawn(network):
    graph = network_graph(network, 3)
    assert [node.number for node in graph.nodes] == list(range(1, len(graph.nodes) + 1))
    assert all(source < node.number for node in graph.nodes for source in node.sources if isinstance(source, int))
    assert not [leaf.name for leaf in graph.leaves if leaf.name.startswith("unnamed")]
    assert graph.nodes[-1].shapes == ((),)
    assert {node.name for node in graph.nodes if not node.by_hand} <= {"torch.T", "torch.Transpose", "torch.View"}
    text = as_text(graph)
    for node in graph.nodes:
        assert re.search(rf"^ *{node.number}  {re.escape(node.name)} ", text, re.MULTILINE)


@pytest.mark.parametrize("network", NETWORKS)
def test_bytes_grow_with_the_batch_but_for_the_parameters(network):
    one, two = network_graph(network, 10), network_graph(network, 20)
    assert two.own_bytes == 2 * one.own_bytes
    assert sum(leaf.bytes for leaf in one.leaves) == sum(leaf.bytes for leaf in two.leaves)


def test_of_torchs_own_operations_the_bytes_are_right_too():
    x, W = torch.rand(4, 3, requires_grad=True), torch.rand(3, 2, requires_grad=True)
    output, size, *_ = packed(lambda: torch.cat([(x.exp() @ W).relu(), x.sin()[:, :2]]).logsumexp(0).prod())
    graph = describe_graph(output, {"x": x, "W": W})
    assert graph.bytes == size
    assert {leaf.name: len(leaf.users) for leaf in graph.leaves} == {"x": 2, "W": 1}
    assert graph.nodes[-1].name == "torch.Prod"


def test_lenet_keeps_what_hooks_see():
    model, images = lenet((1, 8, 8), 3), torch.rand(2, 1, 8, 8)
    output, size, number, _ = packed(lambda: model(images))
    graph = describe_graph(output, {"images": images})
    assert (graph.bytes, len(graph.saved)) == (size, number)
    assert graph.leaves[0].name == "unnamed 1"
    assert len(graph.leaves) == 8


def test_who_keeps_a_slice_keeps_all_of_it():
    whole = torch.rand(100, 4, requires_grad=True)
    inner = whole.exp()
    graph = describe_graph(relu(inner[:1]).sum() + (inner[:1] * inner[1:2]).sum(), {"whole": whole})
    assert sum({tensor.block: tensor.bytes for tensor in graph.saved if not tensor.has_name}.values()) < 100
    assert graph.own_bytes == whole.nbytes + relu(inner[:1]).nbytes


def test_one_tensor_given_twice_is_two_uses_of_one_leaf():
    W = torch.rand(3, 3, requires_grad=True)
    graph = describe_graph(linear(W, W), {"W": W})
    assert [leaf.users for leaf in graph.leaves] == [(1, 1)]
    assert graph.nodes[0].sources == ("W", "W")


def test_a_deep_graph_needs_no_recursion():
    x = torch.rand(2, requires_grad=True)
    for _ in range(3000):
        x = relu(x)
    assert len(describe_graph(x, {}).nodes) == 3000


@pytest.mark.parametrize("output", [lambda a, b: a + b, lambda a, b: b + a])
def test_the_walk_meets_a_node_before_those_that_it_is_computed_from(output):
    hidden = relu(torch.rand(2, requires_grad=True))
    order = walk.nodes(output(hidden, tanh(hidden)))
    sources = [(node, source) for node in order for source, _ in node.next_functions if source]
    assert len(order) == len(set(order)) == 4
    assert all(order.index(node) < order.index(source) for node, source in sources)
    assert [node.name() for node in order if walk.is_by_hand(node)] == ["TanhFunctionBackward", "ReLUFunctionBackward"]
    assert walk.function_nodes(torch.ones(2)) == []


def test_without_a_graph_it_is_said():
    with pytest.raises(ValueError, match="output has no grad_fn"):
        describe_graph(torch.ones(2), {})
    x = torch.rand(2, 2, requires_grad=True)
    output = linear(x, x).sum()
    output.backward()
    with pytest.raises(ValueError, match=r"LinearFunction keeps .* can no longer be read: .* already been freed"):
        describe_graph(output, {"x": x})
    hidden = x.exp()
    output = hidden.sum()
    hidden.mul_(2)
    with pytest.raises(ValueError, match=r"torch.Exp keeps .* modified by an inplace operation"):
        describe_graph(output, {"x": x})


STRING = r'"(?:[^"\\\n]|\\.)*"'
DOT_NODE = re.compile(rf"  (\w+) \[(?:[a-z]+=(?:\w+|{STRING})(?:, )?)+\];")
DOT_EDGE = re.compile(r"  (\w+) -> (\w+);")
DOT_SETTING = re.compile(rf"  (?:\w+={'(?:' + STRING + '|' + chr(92) + 'w+)'};? ?)+|  node \[.*\];")


def faults_of_dot(text):
    """What is not well formed in the text, line by line."""
    first, *lines, last = text.rstrip("\n").split("\n")
    assert (first, last) == ("digraph {", "}")
    nodes = {match[1] for line in lines if (match := DOT_NODE.fullmatch(line)) and match[1] != "node"}
    edges = [match.groups() for line in lines if (match := DOT_EDGE.fullmatch(line))]
    forms = (DOT_NODE, DOT_EDGE, DOT_SETTING)
    wrong = [line for line in lines if not any(form.fullmatch(line) for form in forms)]
    return wrong + [edge for edge in edges if not set(edge) <= nodes]


@pytest.mark.parametrize("network", NETWORKS)
def test_the_text_for_graphviz_is_well_formed(network):
    graph = network_graph(network, 2)
    text = as_dot(graph, f'the "{network}" \\ its graph')
    assert faults_of_dot(text) == []
    assert text.count(" -> ") == sum(len(node.sources) for node in graph.nodes)
    if shutil.which("dot"):
        subprocess.run(["dot", "-Tcanon"], input=text, encoding="utf-8", check=True, capture_output=True)


def test_faults_of_dot_are_seen():
    text = as_dot(network_graph("mlp", 2), "mlp")
    assert faults_of_dot(text.replace("  n1 [", "  n1b ["))
    assert faults_of_dot(text.replace("Function\\n", 'Function"\\n', 1))


def test_names_are_those_of_slopes():
    assert slope("L", entry("x", (0, 1))) == "∂L/∂x_01"
    assert entry("x", (0, 0, 1, 2)) == "x_00,12"
