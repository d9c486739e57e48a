"""The graph as text for a terminal, and in the language of Graphviz."""

from .nodes import Graph, Leaf, Node, Saved, Shape


def as_text(graph: Graph) -> str:
    """Draw a graph downwards, in the order of computation.

    A node has its number, name and output shape; above it stand the leaves that enter it, below what it keeps. An arrow
    down means that the next node takes this one's output; where a node takes others, they are named.
    """
    leaves = {leaf.name: leaf for leaf in graph.leaves}
    lines: list[str] = []
    for node in graph.nodes:
        lines += _above(node, leaves, entered=node.number - 1 in node.sources)
        lines.append(_title(node))
        following = node.number < len(graph.nodes) and node.number in graph.nodes[node.number].sources
        bar = "│" if following else " "
        lines += [f"{bar:>4}      keeps {_saved(tensor)}" for tensor in node.saved]
        lines.append(f"{bar:>4}" if following else "")
    return "\n".join([*(line.rstrip() for line in lines), *summary(graph)])


def _above(node: Node, leaves: dict[str, Leaf], entered: bool) -> list[str]:
    lines = []
    names = [of for of in node.sources if isinstance(of, str)]
    for place, name in enumerate(names):
        corner = "├" if entered or place else "┌"
        uses = len(leaves[name].used_by)
        again = f", used {_times(uses)}" if uses > 1 else ""
        lines.append(f"   {corner}─ ● {name} {shape_text(leaves[name].shape)}{again}")
    if entered or names:
        lines.append("   ▼")
    return lines


def _title(node: Node) -> str:
    others = [str(of) for of in node.sources if isinstance(of, int) and of != node.number - 1]
    beside = f"   ← {', '.join(others)}" if others else ""
    return f"{node.number:>3}  {node.name} {' '.join(map(shape_text, node.shapes))}{beside}"


def _saved(tensor: Saved) -> str:
    dtype = "" if tensor.dtype == "float32" else f" {tensor.dtype}"
    return f"{size_text(tensor.bytes):>9}  {tensor.what} {shape_text(tensor.shape)}{dtype}"


def summary(graph: Graph) -> list[str]:
    """Return what is used several times, and the totals."""
    lines = [
        f"{leaf.name} enters {' and '.join(map(str, leaf.used_by))}: one tensor, and its gradient is the sum of both."
        if len(leaf.used_by) == 2
        else f"{leaf.name} enters {', '.join(map(str, leaf.used_by))}: one tensor, and its gradient is the sum of all."
        for leaf in graph.leaves
        if len(leaf.used_by) > 1
    ]
    kept, own = size_text(graph.bytes), size_text(graph.bytes_of_its_own)
    weight = size_text(sum(leaf.bytes for leaf in graph.leaves))
    return [
        *lines,
        f"{weight:>9}  in {len(graph.leaves)} leaves (●): parameters, and inputs that require a gradient",
        f"{kept:>9}  kept for backward, in {len(graph.saved)} tensors, as saved_tensors_hooks count them",
        f"{own:>9}  of it there for backward alone: shared memory once; leaves, input and target not",
    ]


def as_dot(graph: Graph, title: str = "") -> str:
    """Write a graph for Graphviz: `dot -Tsvg`. Boxes are operations, the hand-written ones filled; ellipses leaves."""
    lines = ["digraph {", "  rankdir=TB;", '  node [fontname="sans-serif", fontsize=11];']
    if title:
        lines.append(f'  labelloc="t"; fontname="sans-serif"; label={_quoted(title)};')
    names = {leaf.name: f"leaf{place}" for place, leaf in enumerate(graph.leaves)}
    for leaf in graph.leaves:
        uses = len(leaf.used_by)
        label = [leaf.name, shape_text(leaf.shape), *([f"used {_times(uses)}"] if uses > 1 else [])]
        lines.append(f"  {names[leaf.name]} [shape=ellipse, label={_quoted(*label)}];")
    for node in graph.nodes:
        label = [f"{node.number}  {node.name}", " ".join(map(shape_text, node.shapes))]
        label += [f"keeps {size_text(tensor.bytes)}: {tensor.what}" for tensor in node.saved]
        style = ', style=filled, fillcolor="#dbe9f6"' if node.by_hand else ""
        lines.append(f"  n{node.number} [shape=box{style}, label={_quoted(*label)}];")
        sources = (names[of] if isinstance(of, str) else f"n{of}" for of in node.sources)
        lines += [f"  {of} -> n{node.number};" for of in sources]
    return "\n".join([*lines, "}", ""])


def _quoted(*lines: str) -> str:
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'


def _times(number: int) -> str:
    return "twice" if number == 2 else f"{number} times"


def shape_text(shape: Shape) -> str:
    """Write a shape."""
    return f"({', '.join(map(str, shape))})"


def size_text(size: int) -> str:
    """Write a number of bytes, so that it can be read."""
    if size < 1024:
        return f"{size} B"
    return f"{size / 1024:.1f} KiB" if size < 1024**2 else f"{size / 1024**2:.1f} MiB"
