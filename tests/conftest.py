"""One thread a test process: pytest-xdist already keeps the cores busy."""

import pytest
import torch

torch.set_num_threads(1)
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
