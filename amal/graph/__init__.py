"""The graph that autograd writes down behind a tensor: nodes, inputs, tensors kept for backward."""

from .drawing import as_dot as as_dot
from .drawing import as_text as as_text
from .nodes import Graph as Graph
from .nodes import Leaf as Leaf
from .nodes import Node as Node
from .nodes import Saved as Saved
from .nodes import describe_graph as describe_graph
