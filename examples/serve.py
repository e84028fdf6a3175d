"""Answer requests over HTTP with a trained network, in any number of processes.

    python serve.py --port 8000 --workers 2
    curl --data '[[17.99, 10.38, ...]]' http://127.0.0.1:8000

A request is a list of rows of 30 features in JSON, the answer a list of their probabilities.
Scaler and network are one `Predictor`, which is made before the processes are forked, and called by
many threads of each.
"""

import argparse
import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sklearn.datasets import load_breast_cancer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastnet import Predictor, SigmoidMLPClassifier

X, y = load_breast_cancer(return_X_y=True)
network = SigmoidMLPClassifier((16,), solver="lbfgs", max_iter=1000, random_state=0)
predictor = Predictor(make_pipeline(StandardScaler(), network).fit(X, y))
# Compiled here, so that no request has to wait for that.
predictor(X[0])


class Handler(BaseHTTPRequestHandler):
    """What one request is answered by."""

    def do_POST(self) -> None:
        """Predict the rows that are sent."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            answer, status = predictor(json.loads(body)).tolist(), 200
        except (TypeError, ValueError) as error:  # no JSON, or no rows of 30 finite numbers
            answer, status = {"error": str(error)}, 400
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def main() -> None:
    """Listen, and serve in this process or in several."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    print(f"Listening on port {server.server_port}", flush=True)
    workers = []
    for _ in range(options.workers - 1):
        worker = os.fork()
        if worker == 0:
            break
        workers.append(worker)

    def stop(*args: object) -> None:
        for worker in workers:
            os.kill(worker, signal.SIGTERM)
        sys.exit()

    signal.signal(signal.SIGTERM, stop)
    server.serve_forever()


if __name__ == "__main__":
    main()
