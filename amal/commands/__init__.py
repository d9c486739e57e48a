"""The longer commands of `amal`, one to a file."""
