"""TensorBoard as `amal board` runs it: every run is ticked, and it ends when its standard input does.

Above 40 runs, most of TensorBoard's pages begin with no run ticked, and so without data. How many they tick is a number
in the script that TensorBoard serves; here it is served with another one.

    python -m amal.board_server --logdir runs
"""

import io
import os
import sys
import threading
import zipfile
from typing import BinaryIO

TICKED = 40
"""Runs above which most of TensorBoard's pages tick none."""
SCRIPT = "index.js"
SETTING = b"maxNamesToEnableByDefault="
"""What stands in the script before that number, in TensorBoard 2.20 and 2.21."""
ANY = b"1e9"


def ticks_every_run() -> bool:
    """Return whether the script of the TensorBoard installed here says how many runs are ticked, and so can be told."""
    with _plain_assets() as file, zipfile.ZipFile(file) as archive:
        return b"%s%d," % (SETTING, TICKED) in archive.read(SCRIPT)


def assets() -> BinaryIO:
    """Return an archive of the files that TensorBoard serves, the script with any number of runs ticked."""
    changed = io.BytesIO()
    with _plain_assets() as file, zipfile.ZipFile(file) as given, zipfile.ZipFile(changed, "w") as archive:
        for name in given.namelist():
            content = given.read(name)
            if name == SCRIPT:
                content = content.replace(b"%s%d," % (SETTING, TICKED), b"%s%s," % (SETTING, ANY))
            archive.writestr(name, content)
    changed.seek(0)
    return changed


def _plain_assets() -> BinaryIO:
    from tensorboard.assets import get_default_assets_zip_provider

    file: BinaryIO = get_default_assets_zip_provider()()
    return file


def end_with_input() -> None:
    """End this process when its standard input does: when the one that started it is no more, however that ended."""
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    """Serve until standard input ends."""
    threading.Thread(target=end_with_input, daemon=True).start()
    from absl import app
    from tensorboard import default, main_lib, program

    main_lib.global_init()
    sys.argv[0] = "tensorboard"
    board = program.TensorBoard(plugins=default.get_plugins(), assets_zip_provider=assets)
    app.run(board.main, flags_parser=board.configure)


if __name__ == "__main__":
    main()
