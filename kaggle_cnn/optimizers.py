"""What recipes share of their optimizers: functions of (learning_rate, steps), a schedule, a penalty."""

from keras import optimizers, regularizers


def adamw_warmup_cosine(
    learning_rate: float, steps: int, weight_decay: float = 0.05, warm_up: float = 0.25
) -> optimizers.Optimizer:
    """Return AdamW, whose rate rises over the first `warm_up` of training and falls to nothing as a cosine."""
    return optimizers.AdamW(warmup_cosine(learning_rate, steps, warm_up), weight_decay=weight_decay)


def warmup_cosine(peak: float, steps: int, warm_up: float) -> optimizers.schedules.LearningRateSchedule:
    """Return a rate that rises from a twentieth of `peak` to it in a line over `warm_up` of the steps, then falls to 0
    as half a cosine (Smith 2018; Loshchilov & Hutter 2017)."""
    warm = max(1, int(steps * warm_up))
    return optimizers.schedules.CosineDecay(peak / 20, max(1, steps - warm), warmup_target=peak, warmup_steps=warm)


def decay_in_loss(weight_decay: float) -> regularizers.Regularizer:
    """Return weight decay as papers before AdamW have it, in the gradient and so in the momentum: the gradient of this
    penalty is `weight_decay` * weight."""
    return regularizers.L2(weight_decay / 2)
