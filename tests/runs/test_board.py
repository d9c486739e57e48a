"""`amal board`: TensorBoard on the runs, and what its pages show in a real browser."""

import contextlib
import errno
import http.client
import json
import signal
import socket
import sys
import time
import urllib.request
import zipfile

import browser
import pytest
from browse import PAGES, board, complaints, make_many, make_run
from running import ROOT, command

from amal.errors import UserError
from amal.runs import RunLogbook, board_server
from amal.runs import board as ours

SHOWN = {"timeseries", "scalars", "custom_scalars", "images", "histograms", "distributions", "graphs"}
SHOWN |= {"hparams", "pr_curves", "text"}  # and projector, which it finds a while later
needs_a_browser = pytest.mark.skipif(browser.PROGRAM is None, reason="there is no chromium on this machine")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with one run that has something for every page."""
    folder = tmp_path_factory.mktemp("runs")
    make_run(folder / "run")
    return folder


@pytest.fixture(scope="module")
def many_runs(tmp_path_factory):
    """A folder with as many runs as `make` leaves, and some more."""
    folder = tmp_path_factory.mktemp("many")
    assert make_many(folder) > 2 * board_server.TICKED
    return folder


@pytest.fixture
def empty(tmp_path):
    """A run that wrote nothing."""
    logbook = RunLogbook(tmp_path / "run")
    _ = logbook._writer
    logbook.close()
    return tmp_path


def active(address):
    """Return the pages that TensorBoard offers, because it found something for them."""
    with urllib.request.urlopen(f"{address}/data/plugins_listing") as answer:
        return {name for name, plugin in json.load(answer).items() if plugin["enabled"]}


# ---------------------------------------------------------------------------------- the command


@pytest.mark.slow
def test_the_board_answers_on_this_machine_and_stops_with_ctrl_c(runs):
    with board(runs) as (address, process):
        host, port = address.removeprefix("http://").split(":")
        assert host == "127.0.0.1"
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()
        with pytest.raises(UserError, match=rf"--port {port}: Address already in use"):
            ours.require_free(int(port))
        process.send_signal(signal.SIGINT)
        said, complaint = process.communicate(timeout=30)
    assert (process.returncode, said, complaint) == (0, "", "")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=5)


@pytest.mark.slow
def test_no_board_outlives_its_command(runs):
    with board(runs) as (address, process):
        process.kill()
        process.wait()
        host, port = address.removeprefix("http://").split(":")
        until, refused = time.monotonic() + 30, None
        while not refused and time.monotonic() < until:
            with contextlib.suppress(ConnectionResetError), socket.socket() as client:
                refused = client.connect_ex((host, int(port)))
    assert refused == errno.ECONNREFUSED


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: None, "runs is no folder: `amal labs` writes runs to ./runs, or name another folder"),
        (lambda folder: folder.touch(), "runs is no folder"),
        (lambda folder: folder.mkdir(), "runs holds no run yet: `amal labs` writes some"),
    ],
    ids=["none", "a file", "empty"],
)
def test_a_folder_without_runs_is_told(tmp_path, make, said):
    make(tmp_path / "runs")
    with pytest.raises(UserError, match=said):
        ours.serve(tmp_path / "runs")


def test_a_folder_without_runs_is_told_in_one_line(tmp_path):
    answer = command("amal", "board", "nowhere", cwd=tmp_path)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith("amal board: nowhere is no folder")
    assert answer.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_told(empty):
    with socket.socket() as other:
        other.bind((ours.HOST, 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(UserError, match=f"--port {taken}: Address already in use; without --port a free one"):
            ours.serve(empty, taken)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_what_is_no_port_is_told(empty, port):
    with pytest.raises(UserError, match=f"--port {port}: expected 1 to 65535"):
        ours.serve(empty, port)


def test_another_port_is_found_where_the_usual_one_is_taken(monkeypatch):
    with socket.socket() as other:
        other.bind((ours.HOST, 0))
        other.listen()
        monkeypatch.setattr(ours, "DEFAULT_PORT", other.getsockname()[1])
        assert ours.free_port() != ours.DEFAULT_PORT


def test_a_tensorboard_that_does_not_start_is_told(empty, monkeypatch, tmp_path):
    program = tmp_path / "python"
    program.write_text(f"#!{sys.executable}\nraise SystemExit('there is no tensorboard here')\n")
    program.chmod(0o755)
    monkeypatch.setattr(ours.sys, "executable", str(program))
    with pytest.raises(UserError, match="TensorBoard does not start: there is no tensorboard here"):
        ours.serve(empty)


def test_the_browser_is_opened_where_it_is_told_what_to_look_at(empty, monkeypatch):
    class Answers:
        def wait(self):
            raise KeyboardInterrupt  # what Ctrl-C does

    opened, said = [], []
    monkeypatch.setattr(ours, "tensorboard_process", lambda *_: contextlib.nullcontext(Answers()))
    monkeypatch.setattr(ours, "wait_for", lambda *_: None)
    monkeypatch.setattr(ours.webbrowser, "open", opened.append)
    before = signal.getsignal(signal.SIGINT)
    ours.serve(empty, browser=True, say=said.append)
    assert opened == [next(line.split()[-1] for line in said if "http" in line)]
    assert opened[0].endswith("/#text")
    assert signal.getsignal(signal.SIGINT) is before


def test_every_run_is_ticked_however_many_there_are():
    with zipfile.ZipFile(board_server.assets()) as served:
        script = served.read("index.js")
    assert board_server.ticks_every_run()
    assert script.count(b".maxNamesToEnableByDefault=1e9,") == 1
    assert len(script) > 1_000_000


@pytest.mark.parametrize("ticked", [True, False])
def test_runs_that_are_not_ticked_are_told_of(ticked, tmp_path, monkeypatch):
    """By a TensorBoard to come, whose script says otherwise how many it ticks."""
    monkeypatch.setattr(ours, "ticks_every_run", lambda: ticked)
    for number in range(ours.TICKED + 1):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "events.out.tfevents.1.x").touch()
    said = []
    monkeypatch.setattr(ours, "tensorboard_process", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(ours, "wait_for", lambda *_: None)
    with pytest.raises(AttributeError):  # no process to wait for
        ours.serve(tmp_path, say=said.append)
    assert f"{ours.TICKED + 1} runs" in said[0]
    assert any("begin with none ticked" in line for line in said) is not ticked


# ---------------------------------------------------------------------------------- the pages


@pytest.mark.slow
def test_a_run_has_something_for_every_page(runs, empty):
    with board(runs) as (address, _):
        assert active(address) >= SHOWN
    with board(empty) as (address, _):
        assert not active(address) & SHOWN - {"timeseries", "hparams"}  # these it offers always


@pytest.mark.slow
@needs_a_browser
def test_every_page_of_one_run_shows_data_in_a_browser(runs):
    assert {name: wrong for name, wrong in complaints(runs).items() if wrong} == {}


@pytest.mark.slow
@needs_a_browser
def test_every_page_of_as_many_runs_as_make_leaves_shows_data_in_a_browser(many_runs):
    assert {name: wrong for name, wrong in complaints(many_runs).items() if wrong} == {}


@pytest.mark.slow
@needs_a_browser
@pytest.mark.skipif(not any((ROOT / "runs").glob("tme3/*/*")), reason="`make` has left no runs here")
def test_every_page_after_make_shows_data_in_a_browser():
    assert {name: wrong for name, wrong in complaints(ROOT / "runs").items() if wrong} == {}


@pytest.mark.slow
@needs_a_browser
def test_an_empty_run_is_seen_on_every_page(empty):
    assert complaints(empty, patience=3) == dict.fromkeys(PAGES, "shows nothing")


def test_charts_are_grouped_by_experiment_and_the_first_group_alone_is_open():
    """An open group asks for each of its charts once for each run: fifty charts of a hundred runs take minutes."""
    titles = ["2.1 loss", "1.4 line loss", "mine", "1.4 diabetes loss", "1.10 loss"]
    layout = {"category": [{"title": "compared", "chart": [{"title": title} for title in titles]}]}
    groups = json.loads(board_server.group_by_experiment(json.dumps(layout)))["category"]
    assert [(group["title"], group["closed"], [chart["title"] for chart in group["chart"]]) for group in groups] == [
        ("compared", False, ["mine"]),
        ("1.4", True, ["1.4 line loss", "1.4 diabetes loss"]),
        ("1.10", True, ["1.10 loss"]),
        ("2.1", True, ["2.1 loss"]),
    ]


def test_the_charts_that_tensorboard_serves_are_grouped(monkeypatch):
    from tensorboard.plugins.custom_scalar.custom_scalars_plugin import CustomScalarsPlugin

    layout = {"category": [{"title": "compared", "chart": [{"title": "1.2 loss"}, {"title": "1.3 loss"}]}]}
    monkeypatch.setattr(CustomScalarsPlugin, "layout_impl", lambda plugin, ctx, experiment: json.dumps(layout))
    board_server.group_charts()
    served = json.loads(CustomScalarsPlugin.layout_impl(None, None, ""))
    assert [group["title"] for group in served["category"]] == ["1.2", "1.3"]
