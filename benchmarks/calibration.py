"""What `CalibratedClassifierCV` makes of `decision_function`: `python -m benchmarks.calibration`.

It calibrates by `decision_function` where there is one, else by `predict_proba`. Log-loss of
held-out samples, of the two classes and of fastnet's with raw logits, whose common offset means
nothing. Writes the table into docs/mlpclassifier.md.
"""

import warnings
from pathlib import Path
from typing import Any

from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastnet import SigmoidMLPClassifier

from .machine import describe_machine
from .tables import machine_line, replace_section, table

PAGE = Path(__file__).parents[1] / "docs" / "mlpclassifier.md"
DATA = {
    "iris": load_iris,
    "wine": load_wine,
    "breast cancer": load_breast_cancer,
    "digits": load_digits,
}
METHODS = ("isotonic", "sigmoid")


class RawLogits(SigmoidMLPClassifier):
    """One whose decision function is what its softmax is applied to."""

    def decision_function(self, X: Any) -> Any:
        """Return the logits."""
        z = self.activations(X)[-2] @ self.coefs_[-1] + self.intercepts_[-1]
        return z.ravel() if z.shape[1] == 1 else z


CONTENDERS = {
    "MLPClassifier": MLPClassifier((50,), activation="logistic", random_state=0),
    "fastnet": SigmoidMLPClassifier((50,), random_state=0),
    "fastnet, raw logits": RawLogits((50,), random_state=0),
}


def main() -> None:
    """Measure, print and write the table."""
    lines = []
    for method in METHODS:
        for name, load in DATA.items():
            losses = [_loss(contender, load, method) for contender in CONTENDERS.values()]
            lines.append([f"{name}, {method}", *(f"{loss:.3f}" for loss in losses)])
            print(*lines[-1], sep="  ", flush=True)
    section = f"{machine_line(describe_machine())}\n\n{table(['', *CONTENDERS], lines)}"
    PAGE.write_text(replace_section(PAGE.read_text(), "calibration", section))


def _loss(contender: Any, load: Any, method: str) -> float:
    """Return the log-loss of samples that neither training nor calibration has seen."""
    X, y = load(return_X_y=True)
    model = CalibratedClassifierCV(make_pipeline(StandardScaler(), contender), method=method)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        p = cross_val_predict(model, X, y, cv=folds, method="predict_proba")
    return float(log_loss(y, p))


if __name__ == "__main__":
    main()
