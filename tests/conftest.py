"""One thread a test process: pytest-xdist already keeps the cores busy."""

import torch

torch.set_num_threads(1)
