"""What holds amal's own operations: the cases of each, and the properties that every case must have."""
