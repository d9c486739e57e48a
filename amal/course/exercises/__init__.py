"""The labs to fill in: `amal exercise tme1 DIR` writes one, `amal check DIR` tells how far a student has come.

Each lab lies in <lab>/exercise/, solved: a package of short files in the course's own form, with its README and tests.
What the student gets is made of it when it is asked for, so it cannot drift from what is tested here.
"""

from .folder import write as write
from .progress import Answer as Answer
from .progress import as_json as as_json
from .progress import as_text as as_text
from .progress import is_exercise as is_exercise
from .progress import progress as progress
