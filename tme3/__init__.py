"""TME 3: images. One script for each experiment; The sheet is README.md, in the repository."""
