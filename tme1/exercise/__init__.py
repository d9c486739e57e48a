"""TME 1 to fill in: here with its solution, from which `amal exercise tme1 DIR` makes the student's folder.

The solution is written for the course, not taken from amal.ops: the sheet's convention (X W + b, squared errors divided
by the number of examples), the short form of a Function (forward and backward with a context), no options, no error
messages. amal.ops has torch's names and twenty properties to keep, which is more than a first Function should show.
Tests hold the two against each other, so the solution cannot drift from amal either.
"""
