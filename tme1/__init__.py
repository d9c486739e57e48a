"""TME 1 (a TME is a practical session): derivatives by hand. The lab sheet is README.md, in the repository."""
