"""TME 3: images. One script for each experiment; README.md is the lab sheet."""
