"""The races on drawn work: draws that can be repeated, and sums that are right."""

import json
import warnings
from itertools import groupby, pairwise

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from benchmarks import company, dominance, report
from benchmarks.company_calls import check_same_bits
from benchmarks.draws import FIT_SECONDS, draw
from benchmarks.tables import replace_section
from benchmarks.turns import alternate

DRAWS = [draw(seed, index) for seed in range(2) for index in range(100)]
MACHINE = {
    "date": "2026-11-24T00:00:00",
    "processor": "a processor",
    "n_threads": 2,
    "cpu_count": 2,
    "python": "3.11",
    "versions": {"numpy": "2"},
    "threadpools": [],
    "threading_layer": None,
}


def test_draws_are_repeated_by_their_names():
    assert len({one.name for one in DRAWS}) == len(DRAWS)
    for one in DRAWS:
        options = dominance._parse(["--only", one.name])
        assert dominance._draws(options) == [one]
    assert dominance._draws(dominance._parse(["--seed", "1", "--only", "3"])) == [draw(1, 3)]


def test_draws_are_those_that_people_use():
    for one in DRAWS:
        assert 2 <= one.n_features <= 784
        assert len(one.hidden) <= 3
        assert all(2 <= units <= 1_000 for units in one.hidden)
        assert 2 <= one.n_classes <= 10
        assert 20 <= one.n_fit <= 10_000
        assert 1 <= one.n_predict <= 10_000
        assert one.batch_size == "auto" or 1 <= one.batch_size <= 500
        assert one.n_epochs >= 2
        assert 2 * one._epoch_seconds <= FIT_SECONDS or one.n_fit <= 50
    for field, usual in (
        ("hidden", (100,)),
        ("solver", "adam"),
        ("batch_size", "auto"),
        ("dtype", "float64"),
        ("density", None),
    ):
        values = [getattr(one, field) for one in DRAWS]
        assert max(values, key=values.count) == usual
        assert len(set(values)) > 1


def test_data_have_every_class_and_their_dtype():
    for one in DRAWS[:20]:
        X, y, X_new = one.shortened().data()
        assert X.dtype == one.dtype
        assert sparse.issparse(X) == (one.density is not None)
        assert set(y) == set(range(one.n_classes))
        assert X_new.shape == (min(one.n_predict, 50), one.n_features)


def test_a_model_that_differs_is_refused():
    one = next(one for one in DRAWS if one.dtype == "float64" and one.density is None).shortened()
    X, y, X_new = one.data()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        models = dominance._trained(one, X, y, X_new)
    models["fastnet"].intercepts_[-1][0] += 1e-3
    with pytest.raises(AssertionError, match=one.name.split(",")[0]):
        dominance.check(one, models, X_new)


def test_summary_of_ratios():
    times = {"a": (1.0, 2.0), "b": (1.0, 0.5), "c": (2.0, 16.0), "d": (1.0, 0.96)}
    rows = [
        dominance.judge("fit", name, {"fastnet": [own] * 3, "scikit-learn": [0, other, 99]})
        for name, (own, other) in times.items()
    ]
    summary = dominance.summarise(rows)["fit"]
    assert summary["draws"] == 4
    assert summary["least"] == 0.5
    assert summary["median"] == pytest.approx((0.96 + 2) / 2)
    assert summary["geometric_mean"] == pytest.approx((2 * 0.5 * 8 * 0.96) ** 0.25)
    assert summary["slower"] == 1
    assert [row["name"] for row in summary["worst"]] == ["b", "d", "a", "c"]


def test_company_judges_medians_and_the_slowest():
    row = company.judge("alone", company.GAINING_FITS[0], [1.0, 1.0, 6.0], [2.0, 2.0, 2.0])
    assert (row["ratio"], row["mean"], row["slowest"]) == (0.5, pytest.approx(4 / 3), 3.0)
    assert not company.is_slow(row)
    assert company.is_slow({**row, "slowest": 3.1})
    assert company.is_slow({**row, "ratio": 1.16})
    other = company.judge("alone", company.GAINING_FITS[1], [1.0], [8.0])
    elsewhere = company.judge("one core", company.GAINING_FITS[2], [1.0], [1.0])
    assert company.gains([row, other, elsewhere]) == {"fits": pytest.approx(4.0)}


def test_company_times_both_forms_in_turn():
    calls = []
    pair = company.Pair(lambda: calls.append("default"), lambda: calls.append("serial"))
    default, serial = alternate(pair, lambda: calls.append("before"), None, 30, 0.0)
    assert len(default) == len(serial) == 30
    made = [call for before, call in pairwise(calls) if before == "before"]
    # One of each run is not timed.
    runs = [(call, len(list(group))) for call, group in groupby(made)]
    assert runs == [("default", 26), ("serial", 26), ("default", 6), ("serial", 6)]


def test_company_refuses_other_bits():
    pair = company.Pair(lambda: np.zeros(2), lambda: -np.zeros(2))
    with pytest.raises(AssertionError, match="a call: the default"):
        check_same_bits(pair, "a call")


def test_names_of_company_are_unique():
    names = [work.name for work in (*company.WORK, *company.PIPELINES)]
    assert len(set(names)) == len(names)
    assert {*company.GAINING_FITS, *company.GAINING_PREDICTIONS} < set(names)


def test_report_writes_both_tables(tmp_path):
    rows = [dominance.judge("fit", "0/0 x", {"fastnet": [1.0], "scikit-learn": [0.5]})]
    run = {"machine": MACHINE, "seed": 0, "idle": False, "rows": rows}
    run["summary"] = dominance.summarise(rows)
    (tmp_path / "dominance.json").write_text(json.dumps(run))
    rows = [
        company.judge("alone", "predict", [1.0], [2.0]),
        company.judge("one core", "predict", [2.0], [1.0]),
        company.judge("pipeline", "pipeline x 1", [1.0], [1.0]),
    ]
    results = {"machine": MACHINE, "rows": rows, "skipped": {"quota": "none"}, "gains": {}}
    (tmp_path / "company.json").write_text(json.dumps(results))
    for page in ("dominance", "company"):
        (tmp_path / page).write_text(f"a\n<!-- {page}:begin -->\nold\n<!-- {page}:end -->\nb\n")
    report.main(
        [
            *("--dominance", str(tmp_path / "dominance.json"), "--readme"),
            *(str(tmp_path / "dominance"), "--company", str(tmp_path / "company.json")),
            *("--engine", str(tmp_path / "company")),
        ]
    )
    text = (tmp_path / "dominance").read_text()
    assert text.startswith("a\n")
    assert text.endswith("-->\nb\n")
    assert "old" not in text
    assert "| fit, seed 0 | 1 | 0.50 | 0.50 | 0.50 | 7 | 1 |" in text
    assert "| 0/0 x | fit | 0.50 |" in text
    text = (tmp_path / "company").read_text()
    assert "| predict | 0.50, 0.5, 0.5 | **2.00, 2, 2** |" in text
    assert "| x 1 | 1.00, 1, 1 |" in text
    assert "quota (none)" in text


def test_a_page_without_markers_is_refused():
    with pytest.raises(ValueError, match="company:begin"):
        replace_section("text", "company", "section")
