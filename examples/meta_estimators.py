"""Search, calibrate and stack: pipelines with networks, trained two at a time.

scikit-learn's meta-estimators fit clones of a pipeline side by side (`n_jobs=2`), in
processes (joblib's "loky") or in threads ("threading"). It makes no difference to the
models, to the last bit.
"""

from typing import Any

import joblib
import numpy as np
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import StackingClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from fastnet import SigmoidMLPClassifier

# One thread for each network: there are already as many as cores side by side.
DESCENT: dict[str, Any] = {"learning_rate_init": 0.02, "tol": 1e-3, "random_state": 0, "n_jobs": 1}


def network(*hidden_layer_sizes: int) -> Pipeline:
    """Return a network that standardises its features."""
    return make_pipeline(StandardScaler(), SigmoidMLPClassifier(hidden_layer_sizes, **DESCENT))


def meta_estimators() -> dict[str, Any]:
    """Return, by name, what makes a classifier out of classifiers."""
    grid = {
        "sigmoidmlpclassifier__class_weight": [None, "balanced"],
        "sigmoidmlpclassifier__hidden_layer_sizes": [(4,), (16,)],
    }
    networks = [("one layer", network(16)), ("two layers", network(8, 8))]
    # Without hidden layers a network is logistic regression, here of the others' logits.
    last = SigmoidMLPClassifier((), solver="lbfgs", random_state=0)
    stacking = {"stack_method": "decision_function", "cv": 3, "n_jobs": 2}
    return {
        "search": GridSearchCV(network(4), grid, scoring="neg_log_loss", cv=3, n_jobs=2),
        "calibration": CalibratedClassifierCV(network(16), cv=3, n_jobs=2),
        "stacking": StackingClassifier(networks, last, **stacking),
    }


def validated_pipeline(X: Any, y: Any, X_val: Any, y_val: Any) -> Pipeline:
    """Fit a network that stops by a validation set, standardised like the rest."""
    model = SigmoidMLPClassifier((16,), early_stopping=True, scoring="loss", **DESCENT)
    with sklearn.config_context(enable_metadata_routing=True):
        model.set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(StandardScaler(), model, transform_input=["X_val"])
        return pipeline.fit(X, y, X_val=X_val, y_val=y_val)


X, y = load_breast_cancer(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=0)

print("             accuracy  log loss  same bits")
for name in meta_estimators():
    probabilities = []
    for backend in ("loky", "threading"):
        with joblib.parallel_config(backend=backend):
            model = meta_estimators()[name].fit(X, y)
        probabilities.append(model.predict_proba(X_test))
    same = "yes" if np.array_equal(*probabilities) else "no"
    accuracy, loss = np.mean(model.predict(X_test) == y_test), log_loss(y_test, probabilities[0])
    print(f"{name:<12} {accuracy:8.3f}  {loss:8.3f}  {same:>9}")

X, X_val, y, y_val = train_test_split(X, y, stratify=y, random_state=0)
pipeline = validated_pipeline(X, y, X_val, y_val)
curve = pipeline[-1].validation_loss_curve_
print(f"\nStopped after {len(curve)} epochs; the best was number {np.argmin(curve) + 1}.")
print(f"Its validation loss {min(curve):.3f}, test accuracy {pipeline.score(X_test, y_test):.3f}")
