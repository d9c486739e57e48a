"""Speed and memory, always beside torch's own operations and in one run."""
