"""Call a trained network within compiled code: a pendulum whose force was learnt from data.

A network learns the acceleration of a pendulum with friction from noisy measurements. A simulation
compiled by numba then calls it four times in each step, for a thousand pendulums in parallel.
"""

import math
import time

import numba
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastnet import SigmoidMLPRegressor
from fastnet.export import to_numba

rng = np.random.default_rng(0)
# Angle, angular velocity, and the acceleration that was measured.
X = rng.uniform([-np.pi, -3], [np.pi, 3], (5_000, 2))
y = -np.sin(X[:, 0]) - 0.2 * X[:, 1] + rng.normal(0, 0.01, len(X))

network = SigmoidMLPRegressor(
    hidden_layer_sizes=(20,), solver="lbfgs", max_iter=3_000, tol=1e-7, random_state=0
)
acceleration = to_numba(make_pipeline(StandardScaler(), network).fit(X, y))


@numba.njit
def true_acceleration(state, out):
    """Write the acceleration that the network was to learn."""
    out[0] = -math.sin(state[0]) - 0.2 * state[1]
    return out


def simulator(force):
    """Compile a simulation with a force."""

    @numba.njit(parallel=True)
    def simulate(starts, n_steps, dt):
        """Return the states at the end, by the classical method of Runge and Kutta."""
        ends = starts.copy()
        for i in numba.prange(len(starts)):
            state, probe = ends[i], np.empty(2)
            slopes, out = np.zeros((4, 2)), np.empty(1)
            for _ in range(n_steps):
                for stage in range(4):
                    reach = 0.0 if stage == 0 else dt if stage == 3 else dt / 2
                    for k in range(2):
                        probe[k] = state[k] + reach * slopes[stage - 1, k]
                    slopes[stage, 0] = probe[1]
                    slopes[stage, 1] = force(probe, out)[0]
                for k in range(2):
                    steps = slopes[0, k] + 2 * slopes[1, k] + 2 * slopes[2, k] + slopes[3, k]
                    state[k] += dt / 6 * steps
        return ends

    return simulate


starts = np.column_stack([rng.uniform(-2, 2, 1_000), np.zeros(1_000)])
learnt, true = simulator(acceleration), simulator(true_acceleration)
learnt(starts[:1], 1, 0.01)  # compiles
begin = time.perf_counter()
ends = learnt(starts, 500, 0.01)
seconds = time.perf_counter() - begin
calls = 4 * 500 * len(starts)
print(f"{calls:,} calls of the network in {seconds:.2f} s: {seconds / calls * 1e9:.0f} ns each")
error = np.abs(ends - true(starts, 500, 0.01)).max()
print(f"largest error after 5 s: {error:.3f}")
