"""Training and prediction on arrays: no scikit-learn, no estimator."""

# Registers what a fork of the process waits for.
from . import forks as forks
