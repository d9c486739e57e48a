"""The longest commands of `amal`, one to a file."""
