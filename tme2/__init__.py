"""TME 2: gradient descent and non-linear networks. Its scripts are not written yet."""
