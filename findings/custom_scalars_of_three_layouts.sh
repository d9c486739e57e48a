#!/usr/bin/env bash
# Custom scalars: of three runs' layouts, charts of a category that the first run has not are lost from the third run on.
#
# Expected: the layouts of all runs are merged, categories by their titles, and each chart is shown once.
# Seen (tensorboard 2.21.0): a category that is first met in a second layout is copied into the merged one, and what later
#   layouts bring to it goes to the original, which nobody reads. In the first layout's categories all charts are kept.
# So: write every category into each run's layout, or one layout for all runs.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tensorboard==2.21.0 numpy==2.3.5 setuptools==80.9.0
LOGDIR="$folder/runs" "$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import json
import os
from importlib.metadata import version

from tensorboard.backend.event_processing import data_provider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.custom_scalar import layout_pb2, metadata
from tensorboard.plugins.custom_scalar.custom_scalars_plugin import CustomScalarsPlugin
from tensorboard.summary.writer.event_file_writer import EventFileWriter

print("tensorboard", version("tensorboard"))


def run(name, **categories):
    category = [
        layout_pb2.Category(title=title, chart=[layout_pb2.Chart(title=chart) for chart in charts])
        for title, charts in categories.items()
    ]
    layout = layout_pb2.Layout(category=category).SerializeToString()
    value = Summary.Value(
        tag=metadata.CONFIG_SUMMARY_TAG,
        metadata=SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=metadata.PLUGIN_NAME)),
        tensor=TensorProto(dtype=DT_STRING, string_val=[layout]),
    )
    writer = EventFileWriter(os.path.join(os.environ["LOGDIR"], name))
    writer.add_event(Event(step=0, summary=Summary(value=[value])))
    writer.close()


run("first", losses=["a"])
run("second", losses=["b"], accuracies=["c"])
run("third", losses=["d"], accuracies=["e"])
multiplexer = EventMultiplexer().AddRunsFromDirectory(os.environ["LOGDIR"]).Reload()
provider = data_provider.MultiplexerDataProvider(multiplexer, os.environ["LOGDIR"])
plugin = CustomScalarsPlugin(TBContext(data_provider=provider, logdir=os.environ["LOGDIR"]))
merged = plugin.layout_impl(RequestContext(), "")
shown = {of["title"]: [chart["title"] for chart in of["chart"]] for of in json.loads(merged)["category"]}
print(shown)
assert shown == {"losses": ["a", "b", "d"], "accuracies": ["c"]}  # "e" is lost
PROGRAM
