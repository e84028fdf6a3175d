"""Look inside a network: what every unit says, and who is to blame for the error.

`activations` is the forward pass and `loss_gradients` the backward pass, both at the
weights that the network holds. The numbers are those of a well-known worked example: all
weights 1, all biases 0, and Alice, who is 2 pounds and 1 inch below the reference.
"""

import numpy as np

from fastnet import SigmoidMLPClassifier

ALICE = np.array([[-2.0, -1.0]])
WOMAN = [1]

network = SigmoidMLPClassifier(
    (2,),
    loss="squared_error",
    solver="sgd",
    batch_size=1,
    learning_rate_init=0.1,
    momentum=0.0,
    alpha=0.0,
)
# The first call of partial_fit says which classes there are, and trains for an epoch from
# drawn weights. Then the weights are ours to set.
network.partial_fit(ALICE, WOMAN, classes=[0, 1])
network.coefs_ = [np.ones((2, 2)), np.ones((2, 1))]
network.intercepts_ = [np.zeros(2), np.zeros(1)]

given, hidden, output = network.activations(ALICE)
print("Forward: what every layer gives out")
print(f"  input   {given[0]}")
print(f"  hidden  {hidden[0].round(4)}")
print(f"  output  {output[0].round(4)}")

loss, coef_gradients, intercept_gradients = network.loss_gradients(ALICE, WOMAN)
print(f"\nLoss: (1 - {output.item():.4f})^2 = {loss:.4f}")

print("\nBackward: how the loss changes with every weight and bias")
for layer, (of_weights, of_biases) in enumerate(
    zip(coef_gradients, intercept_gradients, strict=True), start=1
):
    print(f"  layer {layer}, a column per unit")
    for row in of_weights:
        print("    weights", *(f"{value:8.4f}" for value in row))
    print("    biases ", *(f"{value:8.4f}" for value in of_biases))

# The backward pass can be checked by the forward pass: move one weight a little, and see.
step = 1e-6
network.coefs_[0][0, 0] += step
moved, _, _ = network.loss_gradients(ALICE, WOMAN)
network.coefs_[0][0, 0] -= step
print(f"\nw1 by backpropagation   {coef_gradients[0][0, 0]:.6f}")
print(f"w1 by moving it a bit   {(moved - loss) / step:.6f}")

print("\nDescent against the gradient")
for which in ("one step", "another"):
    network.partial_fit(ALICE, WOMAN)
    loss, _, _ = network.loss_gradients(ALICE, WOMAN)
    print(f"  {which}: w1 = {network.coefs_[0][0, 0]:.4f}, loss = {loss:.4f}")
