"""What is taught: the labs and their exercises, what goes wrong in them, and how it is judged."""
