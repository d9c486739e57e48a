#!/usr/bin/env bash
# HParams: a column in which one run has a number and another a word cannot be sorted.
#
# Expected: a batch size of 10 in one run and "auto" in another are sorted somehow, or the column says that it cannot be.
# Seen (tensorboard 2.21.0): the server raises TypeError ('<' between float and str), so that the page gets an error and keeps
#   its old order without a word. A hyperparameter that a run lacks is sorted well: None has a place.
# So: one type for each hyperparameter; leave out of the row what has no value.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tensorboard==2.21.0 numpy==2.3.5 setuptools==80.9.0
LOGDIR="$folder/runs" "$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import os
from importlib.metadata import version

from tensorboard.backend.event_processing import data_provider
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups, summary_v2
from tensorboard.summary.writer.event_file_writer import EventFileWriter

print("tensorboard", version("tensorboard"))
VALUES = {"ten": {"batch": 10, "rate": 0.1}, "auto": {"batch": "auto", "rate": 0.2}, "none": {"rate": 0.3}}
for name, hparams in VALUES.items():
    writer = EventFileWriter(os.path.join(os.environ["LOGDIR"], name))
    writer.add_event(Event(summary=summary_v2.hparams_pb(hparams, trial_id=name)))
    writer.close()
multiplexer = EventMultiplexer().AddRunsFromDirectory(os.environ["LOGDIR"]).Reload()
provider = data_provider.MultiplexerDataProvider(multiplexer, os.environ["LOGDIR"])
context = backend_context.Context(TBContext(data_provider=provider, logdir=os.environ["LOGDIR"]))


def by(column):
    """Return the names of the runs, sorted by a column."""
    order = api_pb2.ColParams(hparam=column, order=api_pb2.ORDER_ASC)
    states = [api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_RUNNING]
    request = api_pb2.ListSessionGroupsRequest(col_params=[order], allowed_statuses=states, slice_size=10)
    handler = list_session_groups.Handler(RequestContext(), context, "", request)
    return [group.name for group in handler.run().session_groups]


print("by rate:", by("rate"))
try:
    answer = str(by("batch"))
except TypeError as error:
    answer = f"TypeError: {error}"
print("by batch:", answer)
assert by("rate") == ["ten", "auto", "none"]
assert answer.startswith("TypeError: '<' not supported between instances of")
PROGRAM
