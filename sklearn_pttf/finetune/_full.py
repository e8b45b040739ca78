"""Train all weights."""

from sklearn_pttf._utils.sklearn_private import StrOptions
from sklearn_pttf.finetune._base import FinetuneStrategy


class FullFinetune(FinetuneStrategy):
    """Train all weights of the network.

    It can learn most, and needs most rows. With ``anchor`` the weights are pulled back to the
    pretrained ones.

    Parameters
    ----------
    start : {"pretrained", "moments"}, default="pretrained"
        Where training starts from. ``"moments"``: the last layer forgets how its input matters,
        so that the network says what classical credibility says, until it is trained. That is
        the better start where the prior is wrong about all that it learned.

    lr : float, default=0.0015
        Learning rate (AdamW).

    max_epochs : int, default=40
        Most epochs, of at most four steps. Rows are charged up to four times in each.

    patience : int, default=8
        Epochs without improvement on the validation rows before training ends.

    validation_fraction : float, default=1/3
        Share of the rows that a fold does not train on. They, or 2,000 of them, tell which epoch
        is best, and all tell what training is worth. Its inverse, rounded, is the number of folds,
        from 2 to 10: a small share means many.

    anchor : float, default=0.0
        Strength of the pull: the sum of squared distances of the weights to the pretrained ones
        is added to the loss this many times.

    replay : float, default=0.0
        Share of the batches that are synthetic portfolios of the prior that the weights were
        pretrained on, against forgetting it.

    batch_size : int, default=1000
        Most rows that are read together; more are split at random in every epoch.

    max_seconds : float, default=None
        Time for training, in seconds: no further epoch begins after it. None: no limit.

    callbacks : list of skorch callbacks, default=None
        Handed on to skorch.

    baselines : bool, default=True
        Whether a classical baseline may be used instead, where it is cheaper. None is where
        attributes tell rows' levels, which baselines do not read.

    See Also
    --------
    HeadFinetune : Trains the last layers only.
    LoRAFinetune : Trains a few directions of every layer.
    """

    _parameter_constraints = {
        **FinetuneStrategy._parameter_constraints,
        "start": [StrOptions({"pretrained", "moments"})],
    }

    def __init__(
        self,
        *,
        start="pretrained",
        lr=1.5e-3,
        max_epochs=40,
        patience=8,
        validation_fraction=1 / 3,
        anchor=0.0,
        replay=0.0,
        batch_size=1000,
        max_seconds=None,
        callbacks=None,
        baselines=True,
    ):
        self.start = start
        self.lr = lr
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.anchor = anchor
        self.replay = replay
        self.batch_size = batch_size
        self.max_seconds = max_seconds
        self.callbacks = callbacks
        self.baselines = baselines

    def prepare(self, network, generator):
        if self.start == "moments":
            network.head.forget()
        network.requires_grad_(True)
