r"""Convolution of a signal: every output is the same affine map of a window that slides over the input.

    y_not = b_o + Σ_c Σ_a W_oca x_n,c,st − p + da      a = 0 … k−1

with stride s, padding p with zeros, dilation d.
Shapes: x (n, in, length), W (out, in, k), b (out), y (n, out, places), places = ⌊(length + 2p − d(k−1) − 1) / s⌋ + 1.
With groups, the channels are dealt to that many convolutions side by side, and W is (out, in / groups, k).

Let g = ∂L/∂y. The entry x_nci enters y_not through the W_oca with i = st − p + da, and W_oca enters every y_not:

    ∂L/∂x_nci = Σ_o Σ_{t, a : st − p + da = i} g_not W_oca      transposed convolution of g with W
    ∂L/∂W_oca = Σ_n Σ_t g_not x_n,c,st − p + da                 convolution of x with g
    ∂L/∂b_o   = Σ_n Σ_t g_not

The second has the form of the first line, with n in the place of c, g in the place of W, and s and d exchanged: a is
now the place and t runs over the kernel. A step (ẋ, Ẇ, ḃ) moves the output by ẏ = conv(ẋ, W) + conv(x, Ẇ) + ḃ.

Source: Goodfellow, Bengio and Courville, Deep Learning, 9.5; Dumoulin and Visin, Guide to convolution arithmetic, 2016.
"""

from ._convolution import convolution
from ._public import public_form

conv1d = public_form(__name__, convolution, 1, axes="length", kernel="k", places="places")
