"""Which device to compute on."""

import torch


def check_device(device):
    """The device that ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:k"`` stands for; a str.

    Raises
    ------
    ValueError
        If the name is unknown or there is no such device.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device)
    except (RuntimeError, TypeError):
        kind = None
    if kind is None or kind.type not in ("cpu", "cuda"):
        raise ValueError(f"device must be 'auto', 'cpu', 'cuda' or 'cuda:k'; got {device!r}.")
    if kind.type == "cuda" and (kind.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device={device!r} is not there: {torch.cuda.device_count()} CUDA devices found."
        )
    return str(kind)
