"""What all benchmarks share."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from .interleave import Ratio, interleave
from .machine import describe_machine
from .workloads import Problem, Workload, make_problem


class Race(Protocol):
    """The type of the `race` fixture."""

    def __call__(
        self,
        group: str,
        contender: str,
        calls: Mapping[str, Callable[[], Any]],
        **extra_info: Any,
    ) -> None:
        """Time one of the calls."""


def pytest_benchmark_update_machine_info(config: Any, machine_info: dict[str, Any]) -> None:
    """Store versions, environment and thread pools in the JSON file."""
    machine_info["fastnet"] = describe_machine()


@pytest.fixture
def make(benchmark: BenchmarkFixture) -> Callable[..., Problem]:
    """Draw the problem of a workload; of few rows where nothing is timed."""

    def make(workload: Workload, dtype: str) -> Problem:
        return make_problem(workload.shortened() if benchmark.disabled else workload, dtype)

    return make


@pytest.fixture
def race(benchmark: BenchmarkFixture) -> Race:
    """Time a contender; for fastnet, record the ratio to each of the others as well.

    The table of pytest-benchmark shows times that were taken one after the other. The
    ratios in ``extra_info`` come from times taken alternately.
    """

    def race(
        group: str, contender: str, calls: Mapping[str, Callable[[], Any]], **extra_info: Any
    ) -> None:
        benchmark.group = group
        benchmark.extra_info.update(extra_info, contender=contender)
        benchmark(calls[contender])
        if contender == "fastnet" and not benchmark.disabled:
            times = interleave(calls, n_rounds=11)
            benchmark.extra_info["ratios"] = {
                name: Ratio.of(times[name], times["fastnet"]).as_dict()
                for name in calls
                if name != "fastnet"
            }

    return race
