"""What is drawn of runs and models."""

from .figures import confusion_matrix as confusion_matrix
from .figures import decision_frontier as decision_frontier
from .figures import fitted_line as fitted_line
from .figures import image_grid as image_grid
from .figures import learning_curves as learning_curves
from .figures import new_figure as new_figure
from .figures import predicted_against_true as predicted_against_true
from .figures import training_curves as training_curves
from .representations import image_rows as image_rows
from .representations import points_by_class as points_by_class
from .representations import shades as shades
from .representations import values_over as values_over
