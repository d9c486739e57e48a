"""TME 3 to fill in: here with its solution, from which `amal exercise tme3 DIR` makes the student's folder.

Layers and operations are amal's, hand-written as in TME 1 and 2, so that this lab needs nothing of a student's earlier
folders. The solutions are written for the course, in a few lines each: amal.nn.Autoencoder has any number of layers,
amal.nn.Highway a Function of its own, and amal.training.Checkpoints checksums and several processes. Tests hold the two
against each other.
"""
