"""TensorBoard as `amal board` runs it: every run is ticked, and it ends when its standard input does.

Above 40 runs, most of TensorBoard's pages begin with no run ticked, and so without data. How many
they tick is a number in the script that TensorBoard serves; here it is served with another one.

    python -m amal.runs.board_server --logdir runs
"""

import io
import json
import os
import re
import sys
import threading
import zipfile
from typing import Any, BinaryIO

TICKED = 40
"""Runs above which most of TensorBoard's pages tick none."""
SCRIPT = "index.js"
SETTING = b"maxNamesToEnableByDefault="
"""What stands in the script before that number, in TensorBoard 2.20 and 2.21."""
ANY = b"1e9"


def ticks_every_run() -> bool:
    """Whether the script of this TensorBoard has the number of runs that are ticked."""
    with _plain_assets() as file, zipfile.ZipFile(file) as archive:
        return b"%s%d," % (SETTING, TICKED) in archive.read(SCRIPT)


def assets() -> BinaryIO:
    """Return an archive of the files that TensorBoard serves; its script ticks any number of runs."""
    changed = io.BytesIO()
    with _plain_assets() as file, zipfile.ZipFile(file) as original, zipfile.ZipFile(changed, "w") as archive:
        for name in original.namelist():
            content = original.read(name)
            if name == SCRIPT:
                content = content.replace(b"%s%d," % (SETTING, TICKED), b"%s%s," % (SETTING, ANY))
            archive.writestr(name, content)
    changed.seek(0)
    return changed


def _plain_assets() -> BinaryIO:
    from tensorboard.assets import get_default_assets_zip_provider

    file: BinaryIO = get_default_assets_zip_provider()()
    return file


def group_by_experiment(layout: str) -> str:
    """Return a layout of Custom scalars with a category for each experiment; the first is open.

    TensorBoard asks for each chart that is in view once for each run: fifty charts of a hundred
    runs take minutes.

    Args:
        layout: as JSON. The titles of charts begin with the number of their experiment, such as
            `1.4 loss`.
    """
    charts: dict[tuple[int, ...], list[dict[str, Any]]] = {}
    for category in json.loads(layout)["category"]:
        for chart in category.get("chart", []):
            number = re.match(r"(\d+)\.(\d+) ", chart["title"])
            charts.setdefault(tuple(map(int, number.groups())) if number else (), []).append(chart)
    titles = {number: ".".join(map(str, number)) or "compared" for number in sorted(charts)}
    categories = [
        {"title": title, "chart": charts[number], "closed": place > 0}
        for place, (number, title) in enumerate(titles.items())
    ]
    return json.dumps({"category": categories})


def group_charts() -> None:
    """Let TensorBoard's Custom scalars show what `group_by_experiment` makes of their layout."""
    from tensorboard.plugins.custom_scalar.custom_scalars_plugin import CustomScalarsPlugin

    plain = CustomScalarsPlugin.layout_impl

    def grouped_layout(plugin: Any, *args: Any) -> Any:
        layout = plain(plugin, *args)
        return group_by_experiment(layout) if isinstance(layout, str) else layout

    CustomScalarsPlugin.layout_impl = grouped_layout


def end_with_input() -> None:
    """End this process when its standard input does: when the process that started it ended."""
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    """Serve until standard input ends."""
    threading.Thread(target=end_with_input, daemon=True).start()
    from absl import app
    from tensorboard import default, main_lib, program

    group_charts()
    main_lib.global_init()
    sys.argv[0] = "tensorboard"
    board = program.TensorBoard(plugins=default.get_plugins(), assets_zip_provider=assets)
    app.run(board.main, flags_parser=board.configure)


if __name__ == "__main__":
    main()
