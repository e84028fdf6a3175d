"""Predict who passes the final exam from the grades of the year.

A student has grades in per cent for class assignments, written tests and oral tests. More
than 50 on any two of the three, or 80 or more on the assignments, and the student is likely
to pass: a rule that no weighted sum of the grades can express. The students here are drawn
at random by that rule, and one in twenty has a very good or a very bad day.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from fastnet import SigmoidMLPClassifier

SURPRISES = 0.05  # no network can foresee these, so about 95 % is the best to hope for


def likely_to_pass(grades: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return what an experienced teacher expects of each student."""
    return ((grades > 50).sum(axis=1) >= 2) | (grades[:, 0] >= 80)


def draw_students(
    n_students: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.str_]]:
    """Return grades in per cent, one row per student, and results."""
    grades = rng.uniform(20, 100, (n_students, 3)).round()
    passed = likely_to_pass(grades) ^ (rng.random(n_students) < SURPRISES)
    return grades, np.where(passed, "pass", "fail")


def scaled(grades: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return grades around zero, which is then the 50 per cent of the rule."""
    return (grades - 50) / 25


rng = np.random.default_rng(0)
grades, results = draw_students(2000, rng)
new_grades, new_results = draw_students(2000, rng)
print(f"{len(grades)} students of past years, of whom {np.mean(results == 'pass'):.0%} passed.")

descent: dict[str, Any] = {
    "learning_rate_init": 0.02,
    "batch_size": 50,
    "max_iter": 1000,
    "n_iter_no_change": 30,
}
small = SigmoidMLPClassifier((2,), fit_intercept=False, random_state=0, **descent)
larger = SigmoidMLPClassifier((16,), random_state=0, **descent)
for name, network in {"3-2-1 without biases": small, "3-16-1": larger}.items():
    network.fit(scaled(grades), results)
    accuracy = network.score(scaled(new_grades), new_results)
    print(
        f"{name}: {network.n_iter_} epochs, loss {network.loss_:.3f}, "
        f"accuracy on new students {accuracy:.3f}"
    )

some = np.array(
    [[90.0, 30, 40], [60, 70, 30], [30, 70, 60], [65, 40, 70], [70, 30, 40], [40, 45, 95]]
)
rules = np.where(likely_to_pass(some), "pass", "fail")
# Columns of predict_proba are in the order of classes_: "fail", "pass".
p_small, p_larger = (network.predict_proba(scaled(some))[:, 1] for network in (small, larger))
print("\nassignments  written  oral  rule   3-2-1: P(pass)   3-16-1: P(pass)")
for (a, w, o), rule, p, q in zip(some, rules, p_small, p_larger, strict=True):
    print(f"{a:11.0f}  {w:7.0f}  {o:4.0f}  {rule}   {p:14.2f}   {q:15.2f}")
