"""TME 2: gradient descent and non-linear networks."""
