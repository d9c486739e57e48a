"""Where the files of data sets lie, unless a command line says otherwise."""

import os
from pathlib import Path


def default_root() -> Path:
    """Return the folder that $AMAL_DATA names, or else data."""
    return Path(os.environ.get("AMAL_DATA", "data"))
