"""`amal report`: what it tells of runs, what it leaves out, and that nothing in a run directory can break it."""

import base64
import io
import json
import math
import os
import random
import re
import struct
from dataclasses import asdict
from html.parser import HTMLParser
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import get_type_hints

import pytest
from matplotlib.figure import Figure as Drawing
from PIL import Image
from running import answer

from amal.errors import UserError
from amal.experiments import find_parts, parts
from amal.files import plain, write_json
from amal.locks import release
from amal.report import charts, pictures
from amal.report.chapters import arrange, has_options
from amal.report.commands import normalise, shorten_paths, special_options
from amal.report.course import FIGURES
from amal.report.events import Events, read_run
from amal.report.numbers import format_mean, format_number, metrics_table
from amal.report.page import PICTURES, headline, write_report
from amal.report.runs import find_runs, group_runs, machine_kind
from amal.runs.folder import open_run_dir
from amal.runs.logbook import RunLogbook

ENVIRONMENT = {
    "amal": "0.1.0",
    "torch": "2.15.0",
    "python": "3.11.7",
    "machine": "Linux-6.18.44-secret-x86_64-with-glibc2.36",
    "cuda": "none",
}
VOID = {"meta", "img", "br", "link", "input", "hr"}
SVG = {"path", "svg", "text"}


def make_run(
    folder,
    script="tme3.autoencoder",
    seed=0,
    metrics=None,
    status="completed",
    draw=None,
    measured="",
    line="",
    **config,
):
    """Write a run directory as a script does: its settings, its events, its end."""
    folder.mkdir(parents=True)
    command = f"python -m {script} {line}--seed {seed} --run-dir={folder} --no-progress --data-root /secret/data"
    identity = {"script": script, "command": command, "experiment": None}
    settings = {"run_dir": str(folder), "seed": seed, "progress": False, "data_root": "/secret/data", **config}
    write_json(folder / "config.json", identity | {"config": settings, "environment": ENVIRONMENT})
    if draw:
        logbook = RunLogbook(folder)
        draw(logbook)
        logbook.close()
    if status:
        result = {"status": status, "measured": measured, "seconds": 12.5, "metrics": metrics or {}}
        write_json(folder / "metrics.json", identity | result)
    return folder


def autoencoder(folder, seed=0, error=0.02, dataset="mnist", **more):
    return make_run(
        folder,
        seed=seed,
        metrics={"30_train": error, "30_test": error},
        dataset=dataset,
        loss="mse",
        models=["30"],
        **more,
    )


def curves(logbook):
    for step in range(50):
        logbook.scalar("loss/train", math.exp(-step), step)
        logbook.scalar("loss/test", math.exp(-step / 2), step)


class Page(HTMLParser):
    """Reads a page, and complains of what is not closed or not opened."""

    def __init__(self, content):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(content)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag in SVG | VOID
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag, **wanted):
        return [
            has
            for name, has in self.tags
            if name == tag and all(has.get(key) == value for key, value in wanted.items())
        ]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def report(folder, output="report.html"):
    write_report([folder], folder.parent / "out" / output)
    content = (folder.parent / "out" / output).read_text(encoding="utf-8")
    return Page(content) if output.endswith("html") else content


# What stands in it


def test_every_experiment_of_the_course_has_its_place():
    numbers = list(dict.fromkeys(part.number for part in find_parts()))
    lengths = {1: 6, 2: 9, 3: 21}
    assert numbers == [f"{lab}.{number}" for lab, length in lengths.items() for number in range(1, length + 1)]


def test_a_further_experiment_is_declared_in_a_paragraph():
    text = (
        "Experiment 1.2: one.\n\nReported: a figure (R-a).\n\nHow it\ndoes so.\n\nAlso 1.10: two, with\nan option "
        '(--models "A B" C --table).\nReported: 0.5 (R-b).\n\nAlso 1.3: three.\n\n    python -m it'
    )
    first, second, third = parts("tme1.it", text)
    assert (first.number, first.reported, first.set_up) == ("1.2", "a figure (R-a)", ("How it does so.",))
    assert (second.number, second.title, second.reported) == ("1.10", "two, with an option", "0.5 (R-b)")
    assert second.options == {"models": ("A B", "C"), "table": ("True",)}
    assert (third.title, third.reported, third.options) == ("three", "", {})
    assert list(parts("tme1.it", "Helpers.\n\nAlso 1.3: no experiment.")) == []


def test_every_figure_that_is_compared_is_the_one_that_a_script_declares():
    """So that a figure is written down twice, but cannot be changed in one place only."""
    declared = find_parts()
    for figure in FIGURES:
        here = [part for part in declared if part.number == figure.number]
        assert figure.script in {part.script for part in here}, figure
        if figure.reported is not None:
            text = " ".join(part.reported for part in here)
            ways = (f"{figure.reported:g}", f"{100 * figure.reported:g} %", f"{figure.reported:.3f}", "1.0")
            ways += (f"{figure.reported:.0f}", f"{figure.reported:.0e}".replace("e-0", "e-"))
            assert any(way in text for way in ways), (figure, text)


def test_runs_that_differ_in_their_seeds_are_one_row(tmp_path):
    for seed, error in enumerate((0.01, 0.02, 0.03)):
        autoencoder(tmp_path / "runs" / f"seed{seed}", seed, error)
    autoencoder(tmp_path / "runs" / "seed2-again", 2, 0.06)  # one seed is one seed, however often it is run
    (group,) = group_runs(find_runs([tmp_path / "runs"]))
    assert group.seeds == [0, 1, 2]
    text = report(tmp_path / "runs").text
    assert "MNIST, seeds 0, 1, 2" in text
    assert "0.03 (0.01 – 0.06)" in text
    assert "python -m tme3.autoencoder --seed S" in text


def test_settings_that_are_a_matter_of_the_place_make_no_other_row_and_all_others_do(tmp_path):
    runs = tmp_path / "runs"
    autoencoder(runs / "a", 0, resume=True, table=False)
    autoencoder(runs / "b", 1, resume=False)
    autoencoder(runs / "c", 0, lr=0.1)
    assert [len(group.runs) for group in group_runs(find_runs([runs]))] == [2, 1]


def test_a_reported_figure_stands_beside_ours_with_the_difference(tmp_path):
    autoencoder(tmp_path / "runs" / "a", error=0.0200)
    page = report(tmp_path / "runs")
    assert "0.0234 R-a TP3 0.02 −0.0034 better" in page.text
    assert "| 0.0234 (R-a TP3) | **0.02** | −0.0034, better |" in report(tmp_path / "runs", "r.md")


@pytest.mark.parametrize(("error", "verdict"), [(0.0234, "equal"), (0.03, "worse")])
def test_what_is_not_better_is_not_called_so(tmp_path, error, verdict):
    autoencoder(tmp_path / "runs" / "a", error=error)
    rows = [
        line for line in report(tmp_path / "runs", "r.md").splitlines() if line.startswith("| code of 30, MSE, test")
    ]
    assert len(rows) == 1
    assert f", {verdict} |" in rows[0]


def test_other_data_are_never_compared(tmp_path):
    autoencoder(tmp_path / "runs" / "a", dataset="digits")
    page = report(tmp_path / "runs")
    assert "digits, seed 0" in page.text
    assert not page.all("span", **{"class": "better"})
    autoencoder(tmp_path / "runs" / "b", dataset="mnist")
    assert report(tmp_path / "runs").all("span", **{"class": "better"})


def test_unlike_figures_stand_beside_each_other_without_a_difference(tmp_path):
    make_run(tmp_path / "runs" / "a", "tme1.regression", metrics={"line_r2_test": 0.6}, dataset=["line"])
    rows = [line for line in report(tmp_path / "runs", "r.md").splitlines() if line.startswith("| R² of descent")]
    assert rows == ["| R² of descent, test | 0.52 (R-e 1.3.1) | **0.6** | – | line, seed 0 | another noisy line |"]


def test_experiments_without_a_run_are_named_with_the_command_that_makes_one(tmp_path):
    autoencoder(tmp_path / "runs" / "a")
    text = report(tmp_path / "runs").text
    assert re.search(r"No completed run: 1\.1 , 1\.2 .* 3\.4 , 3\.6 .* 3\.21 \.", text)
    assert "No completed run of this. Make one with: python -m tme3.autoencoder --noise gaussian" in text


def test_the_default_settings_of_the_scripts_leave_no_experiment_without_a_run():
    """For `make` runs them with these, and the report would begin by naming what is missing."""
    is_run = {}
    for part in find_parts():
        config = plain(asdict(get_type_hints(import_module(part.script).run)["config"]()))
        is_run[part.number] = is_run.get(part.number, False) or has_options(config, part.options)
    assert [number for number, has_run in is_run.items() if not has_run] == []


def test_a_run_of_several_experiments_is_shared_among_them(tmp_path):
    metrics = {"30_test": 0.1, "500-100-30_test": 0.2}
    make_run(tmp_path / "runs" / "a", metrics=metrics, models=["30", "500-100-30"], loss="mse")
    make_run(tmp_path / "runs" / "b", metrics=metrics, models=["30", "500-100-30"], loss="bce")
    experiments, *_ = arrange(find_parts(), find_runs([tmp_path / "runs"]))
    results = {
        experiment.number: [result for chapter in experiment.chapters for result in chapter.results]
        for experiment in experiments
    }
    assert [result.metrics for result in results["3.5"]] == [["30_test"]]
    assert [result.metrics for result in results["3.6"]] == [["500-100-30_test"]]
    assert [result.metrics for result in results["3.9"]] == [["30_test", "500-100-30_test"]]
    assert results["3.10"] == []


def test_of_several_settings_the_one_with_most_seeds_speaks_and_not_the_best(tmp_path):
    autoencoder(tmp_path / "runs" / "z-best", error=0.001, lr=0.5)
    for seed in range(2):
        autoencoder(tmp_path / "runs" / f"a{seed}", seed, error=0.02, lr=0.1)
    experiments, *_ = arrange(find_parts(), find_runs([tmp_path / "runs"]))
    (experiment,) = (experiment for experiment in experiments if experiment.number == "3.5")
    assert headline(experiment) == [("code of 30, MSE, test", "0.02", "−0.0034, better")]


def test_several_folders_may_be_given_and_a_run_counts_once(tmp_path):
    a = autoencoder(tmp_path / "one" / "a", 0)
    autoencoder(tmp_path / "two" / "b", 1)
    runs = find_runs([tmp_path / "one", tmp_path / "two", a, tmp_path / "two" / ".." / "one"])
    assert [run.name for run in runs] == ["a", "b"]
    assert [run.name for run in find_runs([a])] == ["a"]


# What is not shown


def test_runs_that_did_not_complete_are_named_and_their_numbers_not_shown(tmp_path):
    runs = tmp_path / "runs"
    for status in ("interrupted", "failed", "stopped: /secret/data/mnist is not there"):
        autoencoder(runs / status.split(":")[0], error=0.777, status=status)
    autoencoder(runs / "killed", status=None)
    (autoencoder(runs / "torn") / "metrics.json").write_text('{"status": "comp')
    (autoencoder(runs / "strange") / "config.json").write_text("[1, 2]")
    (autoencoder(runs / "half") / "config.json").unlink()
    page = report(runs)
    text = page.text
    assert not page.all("article")
    assert "0.777" not in text
    assert "secret" not in text
    for name, status in {
        "interrupted": "interrupted",
        "failed": "failed",
        "stopped": "stopped: …/mnist is not there",
        "killed": "killed, or still running on another machine",
        "torn": "damaged: metrics.json cannot be read",
        "strange": "damaged: config.json cannot be read",
        "half": "damaged: config.json cannot be read",
    }.items():
        assert f"{name} : {status}" in text, name
    assert "7 runs" in text
    assert "0 of them completed" in text


def test_a_run_that_is_going_on_is_named_as_such(tmp_path):
    folder = open_run_dir(tmp_path / "runs" / "now")
    try:
        folder.rmdir()
        autoencoder(folder, status=None)
        release(folder)
        (folder / "metrics.json").write_text(json.dumps({"status": "interrupted", "metrics": {}}))
        os.utime(folder / "metrics.json", (1, 1))  # of an earlier go at it
        open_run_dir(folder, resume=True)
        (run,) = find_runs([tmp_path / "runs"])
        assert run.status == "still running"
    finally:
        release(folder)
    (run,) = find_runs([tmp_path / "runs"])
    assert run.status == "interrupted"


def test_a_script_that_is_not_known_is_told_at_the_end(tmp_path):
    folder = make_run(tmp_path / "runs" / "a", "mine.idea", metrics={"accuracy": 0.5}, draw=curves)
    config = json.loads((folder / "config.json").read_text())
    config["experiment"] = {"number": "9.1", "title": "an <idea>", "reported": "nothing"}
    write_json(folder / "config.json", config)
    text = report(tmp_path / "runs").text
    assert re.search(r"Other runs .* 9\.1 an <idea> Reported: nothing .* python -m mine\.idea", text)
    assert "### an &lt;idea&gt;" in report(tmp_path / "runs", "r.md")


def test_nothing_of_the_place_is_shown(tmp_path):
    autoencoder(tmp_path / "runs" / "a", measured="written to /secret/home/me/file.txt", draw=curves)
    for name in ("report.html", "r.md"):
        report(tmp_path / "runs", name)
        content = (tmp_path / "out" / name).read_text()
        for word in ("secret", str(tmp_path), "--run-dir", "--no-progress"):
            assert word not in content


@pytest.mark.parametrize(
    ("command", "short"),
    [
        ("python -m a --run-dir=/x/y --lr 0.1", "python -m a --lr 0.1"),
        ("python -m a --lr 0.1 --seed 3 --data-root /x --models 'a b' c", "python -m a --lr 0.1 --models 'a b' c"),
        ("python -m a --resume --no-progress --run-dir runs/a", "python -m a"),
        ("python -m a --seeds 3 --progress", "python -m a --seeds 3"),
        ("python -m a --file /home/me/it.txt", "python -m a --file …/it.txt"),
        ("python -m a 'not closed", "python -m a ''\"'\"'not' closed"),
    ],
)
def test_a_command_is_shown_without_what_is_a_matter_of_the_place(command, short):
    assert normalise(command) == short


def test_what_is_special_about_a_command_is_neither_its_data_nor_its_looks():
    assert (
        special_options("python -m a --dataset mnist --lr 0.1 --evaluate-every 5 --models 'a b' c")
        == "--lr 0.1 --models 'a b' c"
    )
    assert special_options("python -m a") == ""


def test_machines_are_told_by_their_kind():
    assert machine_kind(ENVIRONMENT) == "Linux, x86_64, CPU"
    assert machine_kind({"machine": "macOS-14.1-arm64-arm-64bit", "cuda": "a GPU"}) == "macOS, arm64, a GPU"
    assert machine_kind({}) == "CPU"
    assert shorten_paths("0.5 / 0.6 and a/b and /a/b/c") == "0.5 / 0.6 and a/b and …/c"


# The page


def test_the_page_is_well_formed_and_loads_nothing(tmp_path):
    def draw(logbook):
        curves(logbook)
        figure = Drawing(figsize=(2, 2))
        figure.add_subplot().plot([0, 1])
        logbook.figure("errors", figure, 3)
        curves(logbook.child("30"))

    autoencoder(tmp_path / "runs" / "a", draw=draw)
    page = report(tmp_path / "runs")
    content = (tmp_path / "out" / "report.html").read_text()
    assert not page.all("script")
    assert not page.all("link")
    assert "url(" not in content
    assert "@import" not in content
    assert "http" not in content
    for tag, has in page.tags:
        assert not any(name.startswith("on") for name in has)
        for name in ("src", "href", "srcset", "data", "action"):
            assert has.get(name, "#").startswith(("#", "data:image/png;base64,")), (tag, has)


def test_the_page_can_be_read_by_those_who_do_not_see_it(tmp_path):
    def draw(logbook):
        curves(logbook)
        logbook.figure("errors", Drawing(figsize=(1, 1)), 3)

    autoencoder(tmp_path / "runs" / "a", draw=draw)
    page = report(tmp_path / "runs")
    assert page.all("html", lang="en")
    ids = [has["id"] for _, has in page.tags if "id" in has]
    assert len(ids) == len(set(ids))
    assert {has["href"][1:] for has in page.all("a")} <= set(ids)
    assert {has["aria-labelledby"] for has in page.all("section")} <= set(ids)
    assert len(page.all("table")) == len(page.all("caption"))
    assert all(has["alt"] for has in page.all("img"))
    (drawn,) = page.all("svg", role="img")
    assert "loss from step 0 to 49" in drawn["aria-label"]
    assert "test ends at 2.29e-11" in drawn["aria-label"]
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_dark_and_light_have_the_same_colours_and_enough_contrast():
    css = Path(charts.__file__).with_name("templates").joinpath("report.css").read_text()
    light, dark = (dict(re.findall(r"--(\w+): (#\w{6})", block)) for block in css.split(":root")[1:3])
    assert light.keys() == dark.keys()

    def luminance(colour):
        parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
        red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    def contrast(a, b):
        high, low = sorted((luminance(a), luminance(b)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for colours in (light, dark):
        for name in ("text", "soft", "link", "good", "bad"):
            assert contrast(colours[name], colours["page"]) >= 4.5, name
        for place in range(charts.LINES):
            assert contrast(colours[f"c{place}"], colours["page"]) >= 3, place
    assert contrast("#777777", "#999999") < 3


def test_texts_with_markup_in_them_are_texts(tmp_path):
    evil = '<script>alert(1)</script> & "x" | *y* `z`'

    def draw(logbook):
        for step in range(5):
            logbook.scalar(f"{evil}/train", step, step)
        logbook.figure(evil, Drawing(figsize=(1, 1)), 3)

    make_run(
        tmp_path / "runs" / evil.replace("/", ""),
        metrics={f"{evil}_test": 1.0},
        measured=evil,
        draw=draw,
        line=f"'{evil}' ",
        dataset=evil,
    )
    autoencoder(tmp_path / "runs" / "b", status=f"stopped: {evil}")
    page = report(tmp_path / "runs")
    assert not page.all("script")
    assert "<script>alert(1)</script>" in page.text
    markdown = report(tmp_path / "runs", "r.md")
    outside = re.sub(r"```\n.*?\n```", "", markdown, flags=re.DOTALL)
    assert "<script>" not in outside
    assert "\\| \\*y\\* \\`z\\`" in outside
    for table in re.findall(r"(?:^\|.*\n)+", outside, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


# Curves and pictures


def test_curves_of_several_seeds_are_thin_lines_and_a_mean(tmp_path):
    for seed in range(3):
        autoencoder(tmp_path / "runs" / f"a{seed}", seed, draw=curves)
    page = report(tmp_path / "runs")
    lines = [has["class"] for has in page.all("path") if "class" in has and "M1 4H23" not in has["d"]]
    assert (
        sorted(line for line in lines if line != "grid") == ["line c0", "line c1"] + ["seed c0"] * 3 + ["seed c1"] * 3
    )


def test_children_share_a_chart_and_parts_of_a_group_do(tmp_path):
    def events(tags):
        return Events({tag: dict.fromkeys(range(5), float(place)) for place, tag in enumerate(tags)})

    alone = charts.select_charts(
        [{"": events(["loss/train", "loss/test", "epoch", "learning rate"])}], 9, lambda _: True
    )
    assert [(chart.title, [line.name for line in chart.lines]) for chart in alone] == [("loss", ["train", "test"])]
    several = {"": events([]), "10": events(["loss/test", "mse/test"]), "9": events(["loss/test"])}
    compared = charts.select_charts([several], 9, lambda _: True)
    assert [(chart.title, [line.name for line in chart.lines]) for chart in compared] == [
        ("10 · mse", ["test"]),
        ("loss/test", ["9", "10"]),
    ]
    assert charts.select_charts([several], 9, lambda name: name == "none") == []


@pytest.mark.parametrize(
    "values",
    [
        [1.0, 1.0, 1.0],
        [0.0, 0.0, 0.0],
        [1e-9, 1.0, 1e9],
        [-1.0, 0.0, 1e30],
        [5e-324, 1.0, 2.0],
        [1e5, 1e5 + 1, 1e5 + 2],
    ],
)
def test_axes_hold_what_is_drawn(values):
    drawn = charts.chart("loss", {"train": [dict(enumerate(values))]})
    assert 2 <= len(drawn.y_ticks) <= 8
    numbers = [float(number) for number in re.findall(r"[-\d.e+]+", drawn.lines[0].path)]
    assert all(charts.LEFT - 1 <= x <= charts.WIDTH for x in numbers[::2])
    assert all(charts.TOP - 1 <= y <= charts.HEIGHT - charts.BOTTOM + 1 for y in numbers[1::2])


def test_long_curves_are_thinned_and_keep_their_ends():
    thin = charts.thin({step: step**0.5 for step in range(10_001)})
    assert len(thin) == charts.POINTS
    assert (min(thin), max(thin)) == (0, 10_000)


def test_nan_and_infinite_values_are_not_drawn():
    events = {
        "": Events({"loss/train": {0: 1.0, 1: math.nan, 2: math.inf, 3: 2.0, 4: 3.0}, "loss/test": {0: math.nan}})
    }
    (drawn,) = charts.select_charts([events], 9, lambda _: True)
    assert [line.name for line in drawn.lines] == ["train"]
    assert "nan" not in drawn.lines[0].path
    assert charts.natural_key("2 layers") < charts.natural_key("10 layers")


def test_event_files_that_are_cut_or_damaged_are_read_as_far_as_they_go(tmp_path):
    folder = autoencoder(tmp_path / "runs" / "a", draw=curves)
    (path,) = folder.glob("events.*")
    whole = path.read_bytes()
    everything = read_run(folder)[""].scalars["loss/train"]
    assert everything == {step: pytest.approx(math.exp(-step)) for step in range(50)}
    for cut in (0, 5, 12, len(whole) // 2, len(whole) // 2 + 1, len(whole) - 1):
        path.write_bytes(whole[:cut])
        read = read_run(folder)[""].scalars.get("loss/train", {})
        assert read.items() <= everything.items()
    path.write_bytes(whole[: len(whole) // 2] + struct.pack("<Q", 2**60) + b"rubbish" * 100)
    assert read_run(folder)[""].scalars["loss/train"].items() <= everything.items()
    path.write_bytes(os.urandom(1000))
    assert not read_run(folder)[""].scalars
    page = report(tmp_path / "runs")
    assert "python -m tme3.autoencoder" in page.text
    assert f"Not all that was drawn could be read: a: {path.name} is damaged." in page.text


def test_an_event_file_of_which_a_part_is_lost_is_known(tmp_path):
    folder = autoencoder(tmp_path / "runs" / "a", draw=curves)
    (path,) = folder.glob("events.*")
    whole = path.read_bytes()
    assert read_run(folder)[""].damage == []
    chance = random.Random(0)
    for _ in range(30):
        cut, bit = chance.randrange(len(whole)), 1 << chance.randrange(8)
        flipped = bytearray(whole)
        flipped[cut] ^= bit
        for damaged in (whole[:cut], flipped, whole[:cut] + bytes(100)):
            path.write_bytes(damaged)
            assert read_run(folder)[""].damage == [path.name] or damaged in ends_of_records(whole)
    path.write_bytes(whole[:-5])
    path.with_name(f"{path.name}.later").write_bytes(whole)  # what a killed run and the one that went on leave
    assert read_run(folder)[""].damage == []


def ends_of_records(data):
    """Return what is left of an event file that ends between two records: that it lacks some cannot be seen."""
    end = 0
    while end < len(data):
        end += 16 + struct.unpack_from("<Q", data, end)[0]
        yield data[:end]


DAMAGED = {
    "digits": (f'{{"30_test": 1{"0" * 400}}}', "30_test is no number in metrics.json"),
    "too many digits": (f'{{"30_test": 1{"0" * 5000}}}', "metrics.json cannot be read"),
    "half of a character": (r'{"\ud800": 0.1}', "metrics.json cannot be read"),
    "NaN": ('{"30_test": NaN}', "metrics.json cannot be read"),
    "infinite": ('{"30_test": 1e999}', "metrics.json cannot be read"),
    "deep": (f'{{"30_test": {"[" * 100_000}{"]" * 100_000}}}', "metrics.json cannot be read"),
    "nested": (f'{{"30_test": {"[" * 50}{"]" * 50}}}', "30_test is no number in metrics.json"),
    "text": ('{"30_test": "0.02"}', "30_test is no number in metrics.json"),
    "list": ("[0.02]", "metrics.json holds no metrics"),
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", DAMAGED)
def test_a_run_with_odd_numbers_is_named_and_the_rest_is_shown(tmp_path, name):
    odd, complaint = DAMAGED[name]
    (autoencoder(tmp_path / "runs" / "odd", seed=1) / "metrics.json").write_text(
        f'{{"script": "tme3.autoencoder", "status": "completed", "measured": "", "seconds": 1, "metrics": {odd}}}'
    )
    autoencoder(tmp_path / "runs" / "right", error=0.0345)
    for content in (report(tmp_path / "runs").text, report(tmp_path / "runs", "r.md")):
        assert f"damaged: {complaint}" in content.replace("\\", "").replace("&quot;", '"')
        assert "0.0345" in content


@pytest.mark.parametrize(
    "odd", [f"1{'0' * 400}", "NaN", r'"\ud800"', "[" * 100_000 + "]" * 100_000, "[" * 800 + "]" * 800]
)
def test_a_run_with_odd_settings_costs_no_other(tmp_path, odd):
    folder = autoencoder(tmp_path / "runs" / "odd", seed=1, error=0.7)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config).replace('"mse"', odd))
    autoencoder(tmp_path / "runs" / "right", error=0.0345)
    text = report(tmp_path / "runs").text
    assert "odd : damaged: config.json cannot be read" in text or "0.7" in text
    assert "0.0345" in text


def test_a_folder_whose_name_is_no_text_is_told(tmp_path):
    autoencoder(Path(os.fsdecode(os.fsencode(tmp_path) + b"/runs/\xff")), status="failed")
    assert "? : failed" in report(tmp_path / "runs").text


def test_what_a_resumed_run_took_back_is_not_drawn(tmp_path):
    def two_goes(logbook):
        curves(logbook)
        logbook.close()
        again = RunLogbook(logbook.folder, resume=True)
        again.rewind(10)
        again.scalar("loss/train", 7.0, 11)
        again.close()

    folder = autoencoder(tmp_path / "runs" / "a", draw=two_goes)
    assert list(read_run(folder)[""].scalars["loss/train"]) == [*range(11), 11]
    assert read_run(folder)[""].scalars["loss/train"][11] == 7.0


def picture(width=40, height=30, colour="red"):
    content = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(content, "PNG")
    return content.getvalue()


def test_pictures_are_few_small_and_the_most_telling():
    def images(*tags):
        return Events(images={tag: (5, picture()) for tag in tags})

    events = {"b": images("weights", "errors"), "a": images("weights"), "": images("summary")}
    ranked = pictures.rank(events, ["err*"], lambda _: True)
    assert [caption for caption, _ in ranked] == ["errors, b, step 5", "summary, step 5", "weights, a, step 5"]
    assert [caption for caption, _ in pictures.rank(events, [], lambda name: name == "b")][1:] == [
        "weights, b, step 5",
        "errors, b, step 5",
    ]
    large = pictures.shrink("large", picture(4000, 2000))
    assert (large.width, large.height) == (pictures.WIDEST, pictures.WIDEST // 2)
    with Image.open(io.BytesIO(base64.b64decode(large.encoded))) as opened:
        assert opened.size == (large.width, large.height)


def test_a_picture_that_cannot_be_read_is_left_out():
    assert pictures.shrink("damaged", b"rubbish") is None
    assert pictures.shrink("cut", picture(500, 500)[:100]) is None
    assert (
        pictures.shrink("huge", picture(1, 1).replace(struct.pack(">II", 1, 1), struct.pack(">II", 9999, 9999))) is None
    )
    assert pictures.choose(10**6, [[("damaged", b"rubbish"), ("right", picture())]], 2)[0][0].caption == "right"


def test_pictures_stay_within_their_budget_and_everybody_has_one_before_anybody_has_two():
    one = len(pictures.shrink("", picture()).encoded)
    wishes = [[("a1", picture()), ("a2", picture())], [("b1", picture())]]
    assert [[picture.caption for picture in place] for place in pictures.choose(2 * one, wishes, 9)] == [["a1"], ["b1"]]
    assert [[picture.caption for picture in place] for place in pictures.choose(3 * one, wishes, 9)] == [
        ["a1", "a2"],
        ["b1"],
    ]
    assert pictures.choose(0, wishes, 9) == [[], []]


def test_a_picture_that_cannot_be_read_is_named(tmp_path):
    def draw(logbook):
        figure = Drawing(figsize=(4, 4))
        figure.add_subplot().plot([0, 1])
        logbook.figure("errors", figure, 3)

    folder = autoencoder(tmp_path / "runs" / "a", draw=draw)
    (path,) = folder.glob("events.*")
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 30] ^= 1
    path.write_bytes(data)
    page = report(tmp_path / "runs")
    assert not page.all("img")
    assert "Not all that was drawn could be read: a: the picture errors, step 3 cannot be read." in page.text


def test_a_run_shows_so_many_pictures_at_most(tmp_path):
    def draw(logbook):
        for place in range(PICTURES + 3):
            logbook.figure(f"picture {place}", Drawing(figsize=(1, 1)), 3)

    autoencoder(tmp_path / "runs" / "a", draw=draw)
    assert len(report(tmp_path / "runs").all("img")) == PICTURES


# Words


def test_numbers_are_told_with_the_digits_that_count():
    assert [format_number(value) for value in (1.0, 0.02271, -3.5e-7, 172488.64, 12)] == [
        "1",
        "0.02271",
        "−3.5e−07",
        "172489",
        "12",
    ]
    assert format_number(0.9467, percent=True) == "94.67 %"
    assert format_mean([0.94, 0.95], percent=True) == "94.50 % (94.00 – 95.00)"
    assert format_mean([0.5]) == format_mean([0.5, 0.5]) == "0.5"


def test_measures_of_several_models_are_a_table(tmp_path):
    metrics = {"a_train": 1.0, "a_test": 2.0, "b_train": 3.0, "b_test": 4.0}
    make_run(tmp_path / "runs" / "a", metrics=metrics)
    (group,) = group_runs(find_runs([tmp_path / "runs"]))
    table = metrics_table(group, group.metrics)
    assert (table.head, table.rows) == (("", "train", "test"), [("a", "1", "2"), ("b", "3", "4")])
    assert metrics_table(group, ["a_train"]).rows == [("a train", "1")]
    assert metrics_table(group, []).rows == []


def test_measures_are_parted_where_it_makes_a_table(tmp_path):
    names = ("batch_loss_test", "batch_seconds", "mini-batch_loss_test", "mini-batch_seconds")
    others = ("loss_first", "loss_last", "largest_difference")
    make_run(tmp_path / "runs" / "a", metrics=dict.fromkeys((*names, *others), 1.0))
    (group,) = group_runs(find_runs([tmp_path / "runs"]))
    assert metrics_table(group, names).head == ("", "loss test", "seconds")
    assert metrics_table(group, others).head == ("measured", "value")


# The command


def test_the_command_writes_the_report_and_makes_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    autoencoder(tmp_path / "runs" / "a", draw=curves)
    done = answer("report", "-o", "new/folder/report.html")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "new/folder/report.html: 1 runs, 1 experiments\n"
    assert (tmp_path / "new" / "folder" / "report.html").exists()


@pytest.mark.parametrize(
    ("folder", "output", "complaint"),
    [
        ("empty", "a.html", r"no runs in .*empty: `amal labs` makes some"),
        ("nowhere", "a.html", r"nowhere is not there"),
        ("file", "a.html", r"file is no folder"),
        ("runs", "a.pdf", r"expected a name that ends in .html or .md"),
        ("runs", "file/a.html", r"file/a.html cannot be written"),
        ("runs", "runs.html", r"runs.html cannot be written"),
    ],
)
def test_what_is_wrong_is_told_in_words(tmp_path, folder, output, complaint):
    autoencoder(tmp_path / "runs" / "a")
    (tmp_path / "empty").mkdir()
    (tmp_path / "runs.html").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=complaint):
        write_report([tmp_path / folder], tmp_path / output)


def test_the_command_ends_with_2_when_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = answer("report")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "amal report: runs is not there\n"
    assert not list(tmp_path.iterdir())
