"""The hand-written operations under torch.nn.functional's names: `import amal.functional as F`.

Each file of amal/ops is one; functional.pyi tells them to type checkers, and tests/exports.py writes that.
"""

from amal import ops as _ops

globals().update({name: getattr(_ops, name) for name in _ops.OPERATIONS})
