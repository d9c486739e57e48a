r"""Max pooling of a signal: the largest entry under each place of a sliding window.

    y_t = max_a x_{st − p + da}           a = 0 … k−1,    stride s, padding p with −∞, dilation d

Shapes: x (n, c, length), y (n, c, places), places = ⌊(length + 2p − d(k−1) − 1) / s⌋ + 1, or rounded up
(ceil_mode). Each channel is on its own; the batch n may be missing.

Let i_t be the index of the winner, the first of them in a tie: y_t = x_{i_t}, and a small change of x leaves i_t as it
is. So each y_t hands its gradient to its winner, and an entry that wins in several places gets the sum. With g = ∂L/∂y:

    ∂L/∂x_j = Σ_{t : i_t = j} g_t         scatter with addition
    ẏ_t = ẋ_{i_t}                         gather, its transpose

Only the indices are kept for it, not the input.

A signal is an image of height 1, and MaxPool2dFunction does this for images.

Source: Goodfellow, Bengio and Courville, Deep Learning, 9.3.
"""

from ._public import public_form
from .max_pool2d import max_pool

max_pool1d = public_form(__name__, max_pool, 1, axes="length", places="places", order="from the start")
