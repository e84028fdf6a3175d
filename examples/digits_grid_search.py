"""Read handwritten digits: a pipeline whose hidden layers and learning rate are searched for.

scikit-learn's tools need to know nothing about fastnet. Parameters have `MLPClassifier`'s
names, so a search written for one works with the other.
"""

from time import perf_counter

from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastnet import SigmoidMLPClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
print(f"{len(X_train)} digits of 8 x 8 pixels to train on, {len(X_test)} to test on.")

pipeline = make_pipeline(
    StandardScaler(),
    # Early stopping decides how long each candidate trains. One thread for each: networks
    # this small have little to share out, and a search can train candidates side by side
    # instead (its own n_jobs).
    SigmoidMLPClassifier(early_stopping=True, max_iter=500, random_state=0, n_jobs=1),
)
grid = {
    "sigmoidmlpclassifier__hidden_layer_sizes": [(32,), (64,), (64, 32)],
    "sigmoidmlpclassifier__learning_rate_init": [0.003, 0.01],
}
search = GridSearchCV(pipeline, grid, cv=3)

start = perf_counter()
search.fit(X_train, y_train)
seconds = perf_counter() - start
n_fits = search.n_splits_ * len(search.cv_results_["params"]) + 1
print(f"{n_fits} networks trained in {seconds:.1f} s, compilation included.\n")

print("accuracy  hidden layers  learning rate")
for score, parameters in sorted(
    zip(search.cv_results_["mean_test_score"], search.cv_results_["params"], strict=True),
    key=lambda result: -result[0],
):
    hidden, rate = (parameters[name] for name in grid)
    print(f"{score:8.4f}  {hidden!s:<13}  {rate}")

print("\nBest parameters:", search.best_params_)
print(f"Test accuracy: {search.score(X_test, y_test):.4f}")
