"""Functions that are known to be right, and known to be wrong in a known way: what the doctor is tried on."""
