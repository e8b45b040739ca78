"""Speed and memory: a cold start, rows a second, and how both grow with the rows.

::

    python benchmarks/speed.py

Every line is a fresh process, so that peak memory is its own.
"""

import resource
import subprocess
import sys
import time

SIZES = (1_000, 10_000, 100_000, 1_000_000)


def run(n_rows, n_observations=10):
    """Import, fit and decide in this process; seconds each, and peak memory."""
    began = time.perf_counter()
    import numpy as np

    X = np.random.RandomState(0).poisson(8.0, size=(n_rows, n_observations)).astype(float)
    data = time.perf_counter()
    from sklearn_pttf import PretrainedDecisionTransformer

    imported = time.perf_counter()
    estimator = PretrainedDecisionTransformer(finetune=None, device="cpu").fit(X)
    fitted = time.perf_counter()
    estimator.decide(X)
    decided = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{n_rows:>9,} rows: import {imported - data:5.2f} s, fit {fitted - imported:6.2f} s, "
        f"decide {decided - fitted:6.2f} s ({n_rows / (decided - fitted):8,.0f} rows/s), all "
        f"{decided - began:6.2f} s, peak {peak:.2f} GB"
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run(int(sys.argv[1]))
    else:
        for size in SIZES:
            subprocess.run([sys.executable, __file__, str(size)], check=True)
