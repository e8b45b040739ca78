"""The optimizer of pretraining."""

from torch.optim import AdamW, Muon, Optimizer


class MuonAdamW(Optimizer):
    """Muon [1]_ for the matrices of hidden layers, AdamW for all else.

    Parameters
    ----------
    params : list of dict
        Groups of parameters. Those with ``hidden=True`` are of hidden layers.

    lr : float
        Learning rate of both: Muon's updates are scaled to the size of AdamW's.

    weight_decay : float

    betas : tuple of float
        Of AdamW.

    References
    ----------
    .. [1] K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024).
    """

    def __init__(self, params, lr, weight_decay, betas):
        matrices, others = [], []
        for group in params:
            for p in group["params"]:
                (matrices if group.get("hidden") and p.ndim == 2 else others).append(p)
        muon = Muon(matrices, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
        adam = AdamW(others, lr=lr, weight_decay=weight_decay, betas=betas, fused=True)
        self.parts = (muon, adam)
        super().__init__(self._groups(), {})

    def _groups(self):
        return [group for part in self.parts for group in part.param_groups]

    def step(self, closure=None):
        loss = None if closure is None else closure()
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self):
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state):
        for part, own in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(own)
        self.param_groups = self._groups()
