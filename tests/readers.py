"""What a run looks like through each of TensorBoard's three readers, which do not drop the same values.

They are the EventAccumulator, that scripts use; what the Python server reads with (`--load_fast=false`); and the data
server, the default, a program that is started here on a free port.
"""

import hashlib
import re
import subprocess
import tempfile
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

import grpc
from running import events_of
from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.context import RequestContext
from tensorboard.data import grpc_provider
from tensorboard_data_server import server_binary

ALL = 10**6
SERIES = ("scalars", "histograms", "text", "custom_scalars", "pr_curves", "images", "graphs")
"""Plugins whose series are read, beside the metadata of `hparams`."""


def read_all(folder):
    """Return what each reader finds in a folder of runs, as {reader: {run: {tag: [(step, value)]}}}."""
    with data_server(folder) as (_, provider):
        return {
            "EventAccumulator": accumulated(folder),
            "Python server": provided(multiplexed(folder)),
            "data server": provided(provider),
        }


def accumulated(folder):
    runs = {}
    for below in sorted({path.parent for path in Path(folder).rglob("events.out.tfevents.*")}):
        events = events_of(below)
        tags = events.Tags()
        found = {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags["scalars"]}
        for tag in tags["histograms"]:
            found[tag] = [(event.step, event.histogram_value) for event in events.Histograms(tag)]
        for tag in tags["images"]:
            found[tag] = [(event.step, short(event.encoded_image_string)) for event in events.Images(tag)]
        for tag in tags["tensors"]:
            found[tag] = [(event.step, event.tensor_proto.SerializeToString()) for event in events.Tensors(tag)]
        for tag, metadata in events.summary_metadata.items():
            if metadata.plugin_data.plugin_name == "hparams":
                found[tag] = [(0, timeless(metadata.plugin_data.content))]
        if tags["graph"]:
            found["__run_graph__"] = [(0, short(events.Graph().SerializeToString(deterministic=True)))]
        runs[name_of(below, folder)] = found
    return runs


def name_of(below, folder):
    return below.relative_to(folder).as_posix()


def provided(provider):
    """Return all that TensorBoard's pages can ask a server's reader for."""
    runs = defaultdict(dict)
    for plugin in SERIES:
        series, value = ask(provider, plugin)
        for run, tags in series.items():
            runs[run] |= {tag: [(at.step, value(at)) for at in points] for tag, points in tags.items()}
    for run, tags in provider.list_tensors(RequestContext(), experiment_id="", plugin_name="hparams").items():
        runs[run] |= {tag: [(0, timeless(at.plugin_content))] for tag, at in tags.items()}
    return dict(runs)


def ask(provider, plugin):
    """Return the series of a plugin, as {run: {tag: points}}, and what reads the value of a point."""
    context, options = RequestContext(), {"experiment_id": "", "plugin_name": plugin, "downsample": ALL}
    if plugin == "scalars":
        return provider.read_scalars(context, **options), lambda at: at.value
    if plugin in ("images", "graphs"):
        read = short if plugin == "images" else same_graph
        return provider.read_blob_sequences(context, **options), lambda at: blobs(provider, context, at, read)
    return provider.read_tensors(context, **options), lambda at: at.numpy.tolist()


def blobs(provider, context, datum, read):
    return [read(provider.read_blob(context, blob_key=reference.blob_key)) for reference in datum.values]


def same_graph(content):
    """Return what two equal graphs have in common: the order of their attributes is another in each process."""
    return short(GraphDef.FromString(content).SerializeToString(deterministic=True))


def short(content):
    return hashlib.sha256(content).hexdigest()[:16]


def timeless(content):
    """Return the content of an event of hparams without the time of its start or end."""
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    data = HParamsPluginData.FromString(content)
    for part in ("session_start_info", "session_end_info"):
        if data.HasField(part):
            for name in ("start_time_secs", "end_time_secs"):
                if name in getattr(data, part).DESCRIPTOR.fields_by_name:
                    getattr(data, part).ClearField(name)
    return data.SerializeToString(deterministic=True)


def multiplexed(folder):
    """Return what the Python server reads with, after its first load."""
    everything = dict.fromkeys(("scalars", "tensors", "images", "histograms", "graph"), 0)
    reader = EventMultiplexer(size_guidance=everything, tensor_size_guidance=dict.fromkeys(SERIES, 0))
    reader.AddRunsFromDirectory(str(folder))
    reader.Reload()
    return MultiplexerDataProvider(reader, str(folder))


@contextmanager
def data_server(folder, reload="once"):
    """Start the data server; yield a function that waits for the end of one more load, and its reader."""
    with tempfile.TemporaryDirectory() as place:
        port = Path(place, "port")
        command = [server_binary(), f"--logdir={folder}", "--host=127.0.0.1", "--port=0", f"--port-file={port}"]
        command += [f"--reload={reload}", "--samples-per-plugin=" + ",".join(f"{name}=all" for name in SERIES)]
        with subprocess.Popen(
            [*command, "--die-after-stdin", "--verbose"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:

            def loaded():
                assert any(re.search("Finished load cycle", line) for line in iter(process.stderr.readline, ""))

            loaded()
            address, unlimited = f"127.0.0.1:{port.read_text().strip()}", [("grpc.max_receive_message_length", -1)]
            with grpc.insecure_channel(address, unlimited) as channel:
                yield loaded, grpc_provider.GrpcDataProvider("", grpc_provider.make_stub(channel))
            process.stdin.close()
