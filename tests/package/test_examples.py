"""The examples run as a newcomer runs them, and arrive at what they promise."""

import json
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

pytestmark = pytest.mark.processes

EXAMPLES = Path(__file__).parents[2] / "examples"

# The first run on a machine also compiles the kernels.
TIMEOUT = 300


def run_example(name: str, folder: Path) -> str:
    """Run an example in a folder; return what it prints."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / name],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "ConvergenceWarning" not in done.stderr
    return done.stdout


def number_after(text: str, output: str) -> float:
    """Return the number that follows a text."""
    found = re.search(re.escape(text) + r"\s*([-\d.]*\d)", output)
    assert found, f"no number after {text!r} in:\n{output}"
    return float(found[1])


def test_no_example_is_forgotten():
    tested = set(re.findall(r'run_example\("(\w+\.py)"', Path(__file__).read_text()))
    assert tested == {path.name for path in EXAMPLES.glob("*.py")}


def test_four_people(tmp_path):
    output = run_example("four_people.py", tmp_path)
    rows = re.findall(r"^ *(\d+) +(\d\.\d{4})$", output, re.MULTILINE)
    epochs, losses = [int(epoch) for epoch, _ in rows], [float(loss) for _, loss in rows]
    assert epochs == [1, *range(100, 1001, 100)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.01
    answers = dict(re.findall(r"^(\w+) +([FM]) ", output, re.MULTILINE))
    assert answers == {"Alice": "F", "Bob": "M", "Charlie": "M", "Diana": "F"}


def test_students(tmp_path):
    output = run_example("students.py", tmp_path)
    small, larger = map(float, re.findall(r"accuracy on new students ([\d.]+)", output))
    # Two hidden units cannot hold the rule; sixteen come close to the 95 % that can be known.
    assert 0.8 < small < 0.92 < larger
    rows = re.findall(r"(pass|fail) +[\d.]+ +([\d.]+)$", output, re.MULTILINE)
    assert len(rows) == 6
    assert all((float(p) > 0.5) == (rule == "pass") for rule, p in rows)


def test_digits_grid_search(tmp_path):
    output = run_example("digits_grid_search.py", tmp_path)
    assert number_after("Test accuracy:", output) >= 0.95
    # The table is sorted, so the best parameters are those of its first row.
    score, hidden, rate = re.findall(r"^ +(0\.\d+) +(\(.*\)) +(\S+)$", output, re.MULTILINE)[0]
    assert float(score) > 0.9
    assert f"hidden_layer_sizes': {hidden}," in output
    assert f"learning_rate_init': {rate}}}" in output


def test_decision_boundary(tmp_path):
    pytest.importorskip("matplotlib", reason="the example draws with matplotlib")
    output = run_example("decision_boundary.py", tmp_path)
    assert number_after("test accuracy", output) > 0.94
    image = (tmp_path / "decision_boundary.png").read_bytes()
    assert image.startswith(b"\x89PNG")
    assert len(image) > 10_000


def test_open_the_box(tmp_path):
    output = run_example("open_the_box.py", tmp_path)
    # The article's numbers; see test_worked_examples.py.
    assert "hidden  [0.0474 0.0474]" in output
    assert number_after("output  [", output) == 0.5237
    assert number_after("weights", output) == 0.0215
    assert number_after("w1 by backpropagation", output) == 0.02147
    assert number_after("w1 by moving it a bit", output) == pytest.approx(0.02147, abs=1e-6)
    first, second = map(float, re.findall(r"w1 = .*, loss = ([\d.]+)", output))
    assert second < first < number_after("^2 =", output)


def test_meta_estimators(tmp_path):
    output = run_example("meta_estimators.py", tmp_path)
    rows = re.findall(r"^(\w+) +([\d.]+) +([\d.]+) +(yes|no)$", output, re.MULTILINE)
    assert [name for name, *_ in rows] == ["search", "calibration", "stacking"]
    for _, accuracy, loss, same_bits in rows:
        assert float(accuracy) > 0.94
        assert float(loss) < 0.15
        assert same_bits == "yes"
    # It lost patience after the best epoch, and before all 200 were done.
    assert number_after("the best was number", output) < number_after("after", output) < 200
    assert number_after("test accuracy", output) > 0.94


def post(port: int, rows: object) -> tuple[int, object]:
    """Send rows to the example's service; return the status and the answer."""
    body = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}", data=body)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.mark.parametrize("workers", [1, 3])
def test_serve(workers: int, tmp_path):
    command = [sys.executable, EXAMPLES / "serve.py", "--port", "0", "--workers", str(workers)]
    # run_example("serve.py") would wait for its end.
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as service:
        try:
            port = int(service.stdout.readline().split()[-1])
            X, y = load_breast_cancer(return_X_y=True)
            with ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(lambda row: post(port, row.tolist()), X[:200]))
            assert {status for status, _ in answers} == {200}
            p = np.array([answer for _, answer in answers])
            assert ((p[:, 1] > 0.5) == y[:200]).mean() > 0.98
            status, together = post(port, X[:200].tolist())
            assert status == 200
            np.testing.assert_allclose(together, p, rtol=1e-12)
            for bad in (b"no json", [[1.0]], [[None] * 30], {"rows": 1}):
                status, answer = post(port, bad)
                assert status == 400
                assert "error" in answer
            assert post(port, X[0].tolist())[0] == 200
        finally:
            service.terminate()
        assert service.wait(timeout=60) == 0


def test_simulation(tmp_path):
    output = run_example("simulation.py", tmp_path)
    assert "2,000,000 calls" in output
    assert number_after("largest error after 5 s:", output) < 0.2


def test_network_in_c(tmp_path):
    output = run_example("network_in_c.py", tmp_path)
    assert (tmp_path / "iris.h").exists()
    if shutil.which("cc") is not None:
        assert "setosa" in output
        assert "100% of labels" in output
