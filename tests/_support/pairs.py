"""Of many parameters of a test, cases in which any two values meet."""

from itertools import combinations, product
from typing import Any

import pytest

Case = tuple[tuple[str, Any], ...]


def every_pair(**axes: dict[str, Any]) -> pytest.MarkDecorator:
    """Parametrize a test by several axes, each of values by their ids.

    Faults mostly show where two things meet, rarely only where three do (Kuhn, Wallace and Gallo,
    "Software fault interactions and implications for software testing", IEEE Transactions on
    Software Engineering 30, 2004). 324 cases have 21 in which all pairs are.
    """
    cases: list[Case] = list(product(*(axis.items() for axis in axes.values())))
    missing = set().union(*map(_pairs, cases))
    chosen = []
    while missing:
        best = max(cases, key=lambda case: len(_pairs(case) & missing))
        missing -= _pairs(best)
        chosen.append(best)
    return pytest.mark.parametrize(
        list(axes),
        [[value for _, value in case] for case in chosen],
        ids=["-".join(name for name, _ in case) for case in chosen],
    )


def _pairs(case: Case) -> set[Any]:
    return set(combinations(((axis, name) for axis, (name, _) in enumerate(case)), 2))
