"""Benchmarks: a table of workloads, a plain-numpy baseline, the peers, a report.

- ``python -m pytest benchmarks`` times the kernels, an epoch, prediction and start-up
  beside the numpy baseline and scikit-learn; with ``--benchmark-disable`` everything
  runs once, on few rows, as a test.
- ``python -m benchmarks.compare`` races an epoch against every peer that is installed.
- ``python -m benchmarks.dominance`` races scikit-learn on work that is drawn at random.
- ``python -m benchmarks.company`` compares several threads with one, beside other processes
  and libraries.
- ``python -m benchmarks.report`` writes what they have measured to the README and to
  docs/engine.md.
"""
