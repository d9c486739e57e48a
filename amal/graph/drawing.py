"""The graph as text for a terminal, and in the language of Graphviz."""

from .nodes import Graph, Leaf, Node, Saved, Shape


def as_text(graph: Graph) -> str:
    """Draw a graph downwards, in the order of computation.

    Each node has its number, name and output shapes. The leaves that enter it stand above it, the
    tensors that it keeps below it. An arrow down means that the next node takes this one's output;
    the title names other inputs of a node.
    """
    leaves = {leaf.name: leaf for leaf in graph.leaves}
    lines: list[str] = []
    for node in graph.nodes:
        lines += _entry(node, leaves, has_arrow=node.number - 1 in node.sources)
        lines.append(_title(node))
        following = node.number < len(graph.nodes) and node.number in graph.nodes[node.number].sources
        bar = "│" if following else " "
        lines += [f"{bar:>4}      keeps {_describe(tensor)}" for tensor in node.saved]
        lines.append(f"{bar:>4}" if following else "")
    return "\n".join([*(line.rstrip() for line in lines), *summary(graph)])


def _entry(node: Node, leaves: dict[str, Leaf], has_arrow: bool) -> list[str]:
    lines = []
    names = [source for source in node.sources if isinstance(source, str)]
    for index, name in enumerate(names):
        corner = "├" if has_arrow or index else "┌"
        uses = len(leaves[name].users)
        again = f", used {_times(uses)}" if uses > 1 else ""
        lines.append(f"   {corner}─ ● {name} {shape_text(leaves[name].shape)}{again}")
    if has_arrow or names:
        lines.append("   ▼")
    return lines


def _title(node: Node) -> str:
    others = [str(source) for source in node.sources if isinstance(source, int) and source != node.number - 1]
    arrow = f"   ← {', '.join(others)}" if others else ""
    return f"{node.number:>3}  {node.name} {' '.join(map(shape_text, node.shapes))}{arrow}"


def _describe(tensor: Saved) -> str:
    dtype = "" if tensor.dtype == "float32" else f" {tensor.dtype}"
    return f"{size_text(tensor.bytes):>9}  {tensor.description} {shape_text(tensor.shape)}{dtype}"


def summary(graph: Graph) -> list[str]:
    """Return a line for each leaf that is used several times, and the totals."""
    lines = [
        f"{leaf.name} enters {' and '.join(map(str, leaf.users))}: one tensor, and its gradient is the sum of both."
        if len(leaf.users) == 2
        else f"{leaf.name} enters {', '.join(map(str, leaf.users))}: one tensor, and its gradient is the sum of all."
        for leaf in graph.leaves
        if len(leaf.users) > 1
    ]
    total, own = size_text(graph.bytes), size_text(graph.own_bytes)
    weight = size_text(sum(leaf.bytes for leaf in graph.leaves))
    return [
        *lines,
        f"{weight:>9}  in {len(graph.leaves)} leaves (●): parameters, and inputs that require a gradient",
        f"{total:>9}  kept for backward, in {len(graph.saved)} tensors, as saved_tensors_hooks count them",
        f"{own:>9}  of it there for backward alone: shared memory once; leaves, input and target not",
    ]


def as_dot(graph: Graph, title: str = "") -> str:
    """Write a graph for Graphviz (`dot -Tsvg`): boxes for operations, filled if hand-written."""
    lines = ["digraph {", "  rankdir=TB;", '  node [fontname="sans-serif", fontsize=11];']
    if title:
        lines.append(f'  labelloc="t"; fontname="sans-serif"; label={_quote(title)};')
    names = {leaf.name: f"leaf{index}" for index, leaf in enumerate(graph.leaves)}
    for leaf in graph.leaves:
        uses = len(leaf.users)
        label = [leaf.name, shape_text(leaf.shape), *([f"used {_times(uses)}"] if uses > 1 else [])]
        lines.append(f"  {names[leaf.name]} [shape=ellipse, label={_quote(*label)}];")
    for node in graph.nodes:
        label = [f"{node.number}  {node.name}", " ".join(map(shape_text, node.shapes))]
        label += [f"keeps {size_text(tensor.bytes)}: {tensor.description}" for tensor in node.saved]
        style = ', style=filled, fillcolor="#dbe9f6"' if node.by_hand else ""
        lines.append(f"  n{node.number} [shape=box{style}, label={_quote(*label)}];")
        sources = (names[source] if isinstance(source, str) else f"n{source}" for source in node.sources)
        lines += [f"  {source} -> n{node.number};" for source in sources]
    return "\n".join([*lines, "}", ""])


def _quote(*lines: str) -> str:
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(escaped) + '"'


def _times(number: int) -> str:
    return "twice" if number == 2 else f"{number} times"


def shape_text(shape: Shape) -> str:
    """Return a shape as text, such as (2, 3)."""
    return f"({', '.join(map(str, shape))})"


def size_text(size: int) -> str:
    """Return a number of bytes in the largest binary unit below it."""
    if size < 1024:
        return f"{size} B"
    return f"{size / 1024:.1f} KiB" if size < 1024**2 else f"{size / 1024**2:.1f} MiB"
