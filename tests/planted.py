"""Preloaded by a sandbox, it plants there the fault that the environment says."""

import os

from amal.sandbox import guard

exec(os.environ["FAULT"], {"guard": guard, "os": os})
