"""One thread a test process, as pytest-xdist already keeps the cores busy, and fixed seeds.

``--hypothesis-profile default`` tries other examples in every run.
"""

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("fixed", derandomize=True)
settings.load_profile("fixed")
pytest.register_assert_rewrite("support")
# no doctests are in them, and modules of the same name cannot be collected as such
collect_ignore_glob = ["*conftest.py"]


def pytest_addoption(parser):
    parser.addoption(
        "--tables", type=int, default=0, help="so many tables of any kind are tried as well"
    )


@pytest.fixture
def no_figure_stays():
    import matplotlib.pyplot as plt

    yield
    plt.close("all")
