"""Tell women from men by weight and height: the smallest network that learns something.

Two inputs, two hidden units, one output, nine numbers to learn. It is trained one person at
a time on the mean squared error, for 1,000 epochs. `partial_fit` is one epoch, so a loop over
it can look at the network whenever it likes.
"""

import numpy as np

from fastnet import SigmoidMLPClassifier

NAMES = ["Alice", "Bob", "Charlie", "Diana"]
POUNDS_AND_INCHES = np.array([[133.0, 65.0], [160.0, 72.0], [152.0, 70.0], [120.0, 60.0]])
GENDERS = np.array(["F", "M", "M", "F"])

# Grades, pounds, pixels: a sigmoid learns best around zero. Normally one would subtract the
# mean (or use StandardScaler); these two numbers make the others easy to read.
SHIFT = np.array([135.0, 66.0])

network = SigmoidMLPClassifier(
    (2,),
    loss="squared_error",
    solver="sgd",
    batch_size=1,
    shuffle=False,
    learning_rate_init=0.1,
    momentum=0.0,
    alpha=0.0,
    init="normal",
    random_state=0,
)

X = POUNDS_AND_INCHES - SHIFT
print("epoch    mean squared error")
for epoch in range(1, 1001):
    network.partial_fit(X, GENDERS, classes=["F", "M"])
    if epoch == 1 or epoch % 100 == 0:
        loss, _, _ = network.loss_gradients(X, GENDERS)
        print(f"{epoch:5d}    {loss:.4f}")

print("\nname      answer   P(F)")
for name, answer, (p_female, _) in zip(
    NAMES, network.predict(X), network.predict_proba(X), strict=True
):
    print(f"{name:<8}  {answer:<6}  {p_female:.3f}")

print("\nSomebody new, of 128 pounds and 63 inches:", *network.predict([[128, 63] - SHIFT]))
print("Somebody new, of 155 pounds and 68 inches:", *network.predict([[155, 68] - SHIFT]))
