"""The table of operations: each row is one way to call one operation, and brings every property with it."""

from .cases import case, entrywise, weighted

CASES = (
    # affine maps
    case("linear", (5, 3), (4, 3), (4,)),
    case("linear, no bias", (5, 3), (4, 3), None),
    case("linear, one vector", (3,), (4, 3), (4,)),
    case("linear, 3-D input", (2, 5, 3), (4, 3), (4,)),
    case("linear, batch of one", (1, 3), (4, 3), (4,)),
    case("linear, empty batch", (0, 3), (4, 3), (4,)),
    case("linear, weight a vector", (5, 3), (3,), None),
    # losses
    case("mse_loss", (5, 4), (5, 4)),
    case("mse_loss, sum", (5, 4), (5, 4), reduction="sum"),
    case("mse_loss, none", (5, 4), (5, 4), reduction="none"),
    case("mse_loss, 3-D input", (2, 5, 4), (2, 5, 4)),
    case("mse_loss, one number", (), ()),
    case("mse_loss, empty batch", (0, 4), (0, 4), reduction="sum"),
    weighted("mse_loss, weighted", (5, 4), (5, 4), (5, 4)),
    weighted("mse_loss, weighted sum", (5, 4), (5, 4), (5, 4), reduction="sum"),
    weighted("mse_loss, weighted none", (5, 4), (5, 4), (5, 4), reduction="none"),
    # on every entry
    *entrywise("tanh"),
    *entrywise("sigmoid"),
    *entrywise("relu"),
    *entrywise("leaky_relu"),
    case("leaky_relu, negative slope 1.5", (5, 3), negative_slope=-1.5),
    *entrywise("threshold", threshold=0.7, value=-2.0),
    *entrywise("gelu"),
    case("gelu, tanh", (5, 3), approximate="tanh"),
    *entrywise("silu"),
    # softmax and attention
    # convolution and pooling
    # normalisation, dropout and embedding
)
