#!/usr/bin/env bash
# Optimizer.load_state_dict casts the moments to the dtype of the parameter.
#
# Expected: a state dict comes back as it was saved, so that a resumed training equals the uninterrupted one.
# Seen (torch 2.14.1): moments kept in float32 beside a bfloat16 parameter come back in bfloat16, without a word: the
#   second moment of 0.001 g² loses all but 8 bits. Only the entry called "step" keeps its dtype.
# So: put such moments back by hand after load_state_dict, or keep the parameters in float32 (autocast does).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.14.1 numpy==2.3.5
"$folder/venv/bin/python" -W ignore - <<'PROGRAM'
import torch

print("torch", torch.__version__)
parameter = torch.nn.Parameter(torch.zeros(2, dtype=torch.bfloat16))
optimizer = torch.optim.Adam([parameter])
moments = torch.tensor([0.1234567, 0.7654321])
optimizer.load_state_dict(
    {
        "state": {0: {"step": torch.tensor(1.0), "exp_avg": moments, "exp_avg_sq": moments**2}},
        "param_groups": optimizer.state_dict()["param_groups"],
    }
)
state = optimizer.state[parameter]
print("saved  ", moments.dtype, moments.tolist())
print("loaded ", state["exp_avg"].dtype, state["exp_avg"].tolist())
print("step   ", state["step"].dtype)
assert state["exp_avg"].dtype == torch.bfloat16 and state["step"].dtype == torch.float32
assert not torch.equal(state["exp_avg"].float(), moments)
PROGRAM
