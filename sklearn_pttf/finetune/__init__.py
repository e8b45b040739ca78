"""Ways to train a pretrained network on real rows."""

from sklearn_pttf.finetune._auto import FEW_ROWS, AutoFinetune, is_doubted
from sklearn_pttf.finetune._base import FinetuneStrategy
from sklearn_pttf.finetune._data import FinetuneData
from sklearn_pttf.finetune._full import FullFinetune
from sklearn_pttf.finetune._head import HeadFinetune
from sklearn_pttf.finetune._lora import LoRAFinetune

__all__ = [
    "FEW_ROWS",
    "AutoFinetune",
    "FinetuneData",
    "FinetuneStrategy",
    "FullFinetune",
    "HeadFinetune",
    "LoRAFinetune",
    "is_doubted",
]
