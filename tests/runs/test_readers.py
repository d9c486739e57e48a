"""What a logbook writes is the same to each of TensorBoard's readers, and its table can be sorted."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import torch
from matplotlib.figure import Figure
from readers import data_server, multiplexed, provided, read_all
from tensorboard.backend.application import TensorBoardWSGI
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.custom_scalar.custom_scalars_plugin import CustomScalarsPlugin
from tensorboard.plugins.hparams.hparams_plugin import HParamsPlugin
from werkzeug.test import Client

from amal.errors import UserError
from amal.runs import RunLogbook
from amal.runs import event_files as files
from amal.runs.hparams import number_columns
from amal.runs.records import event_files
from amal.training import RunConfig


def begin(folder, steps=20):
    """Write two series and leave them as a killed run does, saved at step 8."""
    logbook = RunLogbook(folder)
    for step in range(1, steps + 1):
        logbook.scalar("again", step, step)
        logbook.scalar("once", step, step)
        if step == 8:
            logbook.flush(8)
    logbook._sync()
    return logbook


def go_on(folder):
    """Go on from step 8 with other values, in one series only."""
    logbook = RunLogbook(folder, resume=True)
    logbook.rewind(8)
    for step in range(9, 15):
        logbook.scalar("again", -step, step)
    logbook.close()


EXPECTED = {
    "again": [*((step, step) for step in range(1, 9)), *((step, -step) for step in range(9, 15))],
    "once": [(step, step) for step in range(1, 9)],
}

# ---------------------------------------------------------------------------------- one series for all readers


def test_every_reader_shows_a_resumed_run_alike(tmp_path):
    for times in range(3):
        folder = tmp_path / f"{times}"
        folder.mkdir()
        begin(folder)
        for _ in range(times):
            RunLogbook(folder, resume=True).rewind(8)
        go_on(folder)
    for reader, runs in read_all(tmp_path).items():
        assert runs == dict.fromkeys("012", EXPECTED), reader


def test_a_tail_that_is_not_cut_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr("amal.runs.logbook.cut", lambda _: None)
    begin(tmp_path)
    go_on(tmp_path)
    assert all(runs["."] != EXPECTED for runs in read_all(tmp_path).values())


@pytest.mark.slow
def test_a_kill_while_the_tail_is_cut_is_mended(tmp_path, monkeypatch):
    begin(tmp_path)
    go_on(tmp_path)
    assert len(event_files(tmp_path)) == 2
    monkeypatch.setattr(files, "sync", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):  # after the second file, before the first
        RunLogbook(tmp_path, resume=True).rewind(4)
    monkeypatch.undo()
    assert [path.stat().st_size > 0 for path in event_files(tmp_path)] == [True, False]
    logbook = RunLogbook(tmp_path, resume=True)
    logbook.rewind(4)
    logbook.scalar("again", 0, 5)
    logbook.close()
    for reader, runs in read_all(tmp_path).items():
        assert [step for step, _ in runs["."]["again"]] == [1, 2, 3, 4, 5], reader


def test_servers_that_are_open_meanwhile_show_what_is_written_anew(tmp_path):
    """The data server forgets a series only when it is written again; the Python server all of them."""
    (tmp_path / "run").mkdir()
    python = EventMultiplexer()
    with data_server(tmp_path, reload=1) as (loaded, provider):
        begin(tmp_path / "run")
        python.AddRunsFromDirectory(str(tmp_path))
        python.Reload()
        while not (found := provided(provider).get("run")):
            loaded()
        assert len(found["again"]) == 20
        go_on(tmp_path / "run")
        python.Reload()
        assert provided(MultiplexerDataProvider(python, str(tmp_path))) == {"run": EXPECTED}
        while provided(provider)["run"]["again"] != EXPECTED["again"]:
            loaded()


def test_files_of_the_future_stay_in_order_when_their_renaming_is_cut_short(tmp_path, monkeypatch):
    for second in (9_000_000_001, 9_000_000_002, 9_000_000_003):
        (tmp_path / f"events.out.tfevents.{second}.here.1.0").write_text(f"{second}")
    plain_rename = Path.rename

    def rename_one(path, target):
        plain_rename(path, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", rename_one)
    with pytest.raises(KeyboardInterrupt):
        files.await_new_name(tmp_path)
    assert [path.read_text()[-1] for path in event_files(tmp_path)] == ["1", "2", "3"]


# ---------------------------------------------------------------------------------- the table of hyper-parameters


def answer(provider, path, body=None):
    """Ask a page of TensorBoard's on top of a reader; return the status, and the answer where it is good."""
    context = TBContext(data_provider=provider, logdir="", multiplexer=None, plugin_name_to_instance={})
    pages = [HParamsPlugin(context), CustomScalarsPlugin(context)]
    client = Client(TensorBoardWSGI(pages, data_provider=provider))
    found = client.post(f"/data/plugin/{path}", json=body) if body is not None else client.get(f"/data/plugin/{path}")
    return found.status_code, json.loads(found.data) if found.status_code == 200 else None


def table(provider):
    """Return each column of the table, sorted by itself: {name: (upwards, downwards)}."""
    options = {"allowedStatuses": ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]}
    status, experiment = answer(provider, "hparams/experiment", {})
    assert status == 200
    names = [{"hparam": info["name"]} for info in experiment["hparamInfos"]]
    names += [{"metric": info["name"]} for info in experiment["metricInfos"]]
    found = {}
    for name in names:
        sorted_both_ways = []
        for order in ("ORDER_ASC", "ORDER_DESC"):
            column = {**name, "order": order, "missingValuesFirst": False}
            request = {**options, "colParams": [column], "startIndex": 0, "sliceSize": 100}
            status, groups = answer(provider, "hparams/session_groups", request)
            assert status == 200, name
            sorted_both_ways.append([value_of(group, name) for group in groups["sessionGroups"]])
        found[name.get("hparam") or name["metric"]["tag"]] = tuple(sorted_both_ways)
    return found


def value_of(group, name):
    if "hparam" in name:
        return group["hparams"].get(name["hparam"])
    values = {metric["name"]["tag"]: metric["value"] for metric in group["metricValues"]}
    return values.get(name["metric"]["tag"])


@pytest.fixture
def servers(tmp_path):
    """The readers of the two servers, on a folder that a test has filled."""

    def each():
        with data_server(tmp_path) as (_, provider):
            yield provider
        yield multiplexed(tmp_path)

    return each


@pytest.mark.slow
def test_every_column_of_the_table_can_be_sorted(tmp_path, servers):
    rows = [
        ({"lr": 0.1, "batch_size": None, "size": 10, "name": "b"}, {"accuracy": 0.5, "loss": float("nan")}),
        ({"lr": 0.03, "batch_size": 50, "size": "auto", "name": "a"}, {"accuracy": 0.7, "loss": 2.0}),
        ({"lr": float("inf"), "batch_size": 5, "size": 9, "name": None}, {"accuracy": 0.6, "loss": 1.0}),
        ({"lr": 10**400, "batch_size": 8, "size": 100, "name": "c"}, {"accuracy": 0.1, "loss": float("-inf")}),
    ]
    logbook = RunLogbook(tmp_path)
    for number, (settings, metrics) in enumerate(rows):
        logbook.child(f"{number}").settings(settings, metrics)
    logbook.close()
    for server in servers():
        found = table(server)
        assert found.keys() == {"lr", "batch_size", "size", "size (text)", "name", "result/accuracy", "result/loss"}
        for name, (upwards, downwards) in found.items():
            values = [value for value in upwards if value is not None]
            assert values == sorted(values), name
            assert downwards == values[::-1] + [None] * (len(rows) - len(values)), name
        assert found["size"][0] == [9, 10, 100, None]
        assert found["size (text)"][0] == ["auto", None, None, None]
        assert found["result/loss"][0] == pytest.approx([1, 2, None, None], nan_ok=True)


@dataclass(frozen=True)
class Config(RunConfig):
    size: int | Literal["auto"] = "auto"
    depth: Literal[1, "many"] = 1
    widths: tuple[int, ...] = (3,)
    name: str | None = None


def test_a_setting_that_may_be_a_number_has_the_same_columns_in_every_run(tmp_path, servers):
    for size in (10, "auto"):
        config = Config(size=size)
        assert number_columns(config) == dict.fromkeys(("seed", "progress", "size", "depth"), "number")
        (tmp_path / f"{size}").mkdir()
        logbook = RunLogbook(tmp_path / f"{size}", columns=number_columns(config))
        logbook.settings(dataclasses.asdict(config), {})
        logbook.close()
    for server in servers():
        found = table(server)
        assert found["size"] == ([10, None],) * 2
        assert found["size (text)"] == (["auto", None],) * 2


def test_a_column_of_numbers_and_text_would_be_seen(tmp_path, servers, monkeypatch):
    monkeypatch.setattr("amal.runs.logbook.table_row", lambda settings, _: settings)
    logbook = RunLogbook(tmp_path)
    for size in (10, "auto"):
        logbook.child(f"{size}").settings({"size": size}, {})
    logbook.close()
    for server in servers():
        with pytest.raises(TypeError, match="not supported between instances"):
            table(server)


# ---------------------------------------------------------------------------------- layouts, tags, points


def test_both_servers_show_every_chart_that_was_asked_for(tmp_path, servers):
    logbook = RunLogbook(tmp_path)
    logbook.chart("early", ["a"])
    logbook.flush(1)
    logbook.chart("late", ["b"])
    logbook.close()
    for server in servers():
        status, layout = answer(server, "custom_scalars/layout")
        assert status == 200
        assert [chart["title"] for chart in layout["category"][0]["chart"]] == ["early", "late"]


WRITE = {
    "scalar": lambda logbook, tag: logbook.scalar(tag, 1.0, 0),
    "histogram": lambda logbook, tag: logbook.histogram(tag, torch.arange(3), 0),
    "picture": lambda logbook, tag: logbook.figure(tag, Figure((1, 1)), 0),
    "text": lambda logbook, tag: logbook.text(tag.removesuffix("/text_summary"), "text"),
    "precision-recall curve": lambda logbook, tag: logbook.pr_curve(
        tag, torch.tensor([0, 1]), torch.tensor([0.1, 0.9]), 0
    ),
}


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("second", WRITE)
@pytest.mark.parametrize("first", WRITE)
def test_a_tag_of_two_kinds_is_refused(tmp_path, first, second, resume):
    tag = "loss/text_summary"
    logbook = RunLogbook(tmp_path)
    WRITE[first](logbook, tag)
    if resume:
        logbook.close()
        logbook = RunLogbook(tmp_path, resume=True)
    if first == second:
        WRITE[second](logbook, tag)
    else:
        with pytest.raises(UserError, match=f"the tag {tag} names a {first} and a {second}, of which"):
            WRITE[second](logbook, tag)
    logbook.close()


def test_points_written_twice_are_listed_once(tmp_path):
    logbook = RunLogbook(tmp_path)
    for points in (4, 5):
        logbook.embedding(torch.randn(points, 3), ["two words\n"] * points, torch.rand(points, 1, 8, 8))
    logbook.close()
    assert (tmp_path / "projector_config.pbtxt").read_text().count("embeddings {") == 1
    assert (tmp_path / "projector" / "labels.tsv").read_text() == "two words\n" * 5
    assert len((tmp_path / "projector" / "points.tsv").read_text().splitlines()) == 5
