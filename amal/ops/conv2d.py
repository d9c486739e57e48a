r"""Convolution of an image: every output is the same affine map of a window that slides over the input.

    y_no,tu = b_o + Σ_c Σ_ab W_oc,ab x_nc,st − p + da, s'u − p' + d'b      a = 0 … k−1, b = 0 … k'−1

with stride s, padding p with zeros, dilation d of the rows, s', p', d' of the columns.
Shapes: x (n, in, height, width), W (out, in, k, k'), b (out), y (n, out, rows, columns), where
rows = ⌊(height + 2p − d(k−1) − 1) / s⌋ + 1, and columns alike.
With groups, the channels are dealt to that many convolutions side by side, and W is (out, in / groups, k, k').

Let g = ∂L/∂y, and ij the entry of x that meets ab at the place tu: i = st − p + da, j = s'u − p' + d'b.

    ∂L/∂x_nc,ij = Σ_o Σ_{tu, ab that meet in ij} g_no,tu W_oc,ab      transposed convolution of g with W
    ∂L/∂W_oc,ab = Σ_n Σ_tu g_no,tu x_nc,ij                            convolution of x with g
    ∂L/∂b_o     = Σ_n Σ_tu g_no,tu

The second has the form of the first line, with n in the place of c, g in the place of W, and s and d exchanged: ab is
now the place and tu runs over the kernel. A step (ẋ, Ẇ, ḃ) moves the output by ẏ = conv(ẋ, W) + conv(x, Ẇ) + ḃ.

Source: Goodfellow, Bengio and Courville, Deep Learning, 9.5; Dumoulin and Visin, Guide to convolution arithmetic, 2016.
"""

from ._convolution import convolution
from ._public import public_form

conv2d = public_form(__name__, convolution, 2, axes="height, width", kernel="k, k'", places="rows, columns")
