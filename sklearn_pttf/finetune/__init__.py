"""Ways to train a pretrained network on real rows."""

from sklearn_pttf.finetune._auto import AutoFinetune
from sklearn_pttf.finetune._base import FinetuneStrategy
from sklearn_pttf.finetune._full import FullFinetune
from sklearn_pttf.finetune._head import HeadFinetune
from sklearn_pttf.finetune._lora import LoRAFinetune

__all__ = [
    "AutoFinetune",
    "FinetuneStrategy",
    "FullFinetune",
    "HeadFinetune",
    "LoRAFinetune",
]
