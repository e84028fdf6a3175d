"""Draw how a network learns to part two moons, and where it draws the line.

Writes decision_boundary.png to the current directory: on the left the loss of every epoch,
on the right the probability of the second moon over the plane.
"""

import matplotlib

# To a file: no display needed.
matplotlib.use("Agg")

import matplotlib.pyplot as plt
from sklearn.datasets import make_moons
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.model_selection import train_test_split

from fastnet import SigmoidMLPClassifier

X, y = make_moons(1000, noise=0.2, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

network = SigmoidMLPClassifier(
    (16, 16), learning_rate_init=0.02, batch_size=50, max_iter=1000, random_state=0
)
network.fit(X_train, y_train)
accuracy = network.score(X_test, y_test)
print(f"{network.n_iter_} epochs, loss {network.loss_:.4f}, test accuracy {accuracy:.3f}")

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")

left.plot(range(1, network.n_iter_ + 1), network.loss_curve_)
left.set(title="Training", xlabel="epoch", ylabel="log-loss", yscale="log")

DecisionBoundaryDisplay.from_estimator(
    network,
    X,
    response_method="predict_proba",
    class_of_interest=1,
    plot_method="pcolormesh",
    grid_resolution=300,
    cmap="RdBu_r",
    alpha=0.6,
    ax=right,
)
# The boundary itself: as likely one moon as the other.
DecisionBoundaryDisplay.from_estimator(
    network,
    X,
    response_method="decision_function",
    plot_method="contour",
    grid_resolution=300,
    levels=[0],
    colors="black",
    ax=right,
)
right.scatter(*X_test.T, c=y_test, cmap="RdBu_r", edgecolors="black", linewidths=0.5, s=20)
right.set(title=f"Test samples, accuracy {accuracy:.3f}", xlabel="", ylabel="")

figure.savefig("decision_boundary.png", dpi=120)
print("Wrote decision_boundary.png")
