"""TME 2 to fill in: here with its solution, from which `amal exercise tme2 DIR` makes the student's folder.

The operations are amal's, hand-written as in TME 1, so that this lab needs nothing of a student's earlier folder. The
descent is written for the course: `amal.training.fit` also resumes, logs and evaluates, and is no exercise. Tests hold
it against amal.training and amal.optim. The two-layer regressor is the one that `python -m tme2.regressor` trains.
"""
