"""TME 1 (a TME is a practical session): functions and their derivatives by hand. The lab sheet is README.md."""
