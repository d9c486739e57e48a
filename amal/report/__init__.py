"""One page about all runs, beside what the course documents report."""
