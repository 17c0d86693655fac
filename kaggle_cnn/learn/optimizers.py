"""What recipes share of their optimizers: a function of (learning_rate, steps) to name, a schedule, a penalty."""

from keras import optimizers, regularizers


def adamw_one_cycle(learning_rate, steps, weight_decay=0.05, warm_up=0.25):
    """AdamW, whose rate rises over the first `warm_up` of training and falls to nothing as a cosine (Smith 2018)."""
    return optimizers.AdamW(rise_and_fall(learning_rate, steps, warm_up), weight_decay=weight_decay)


def rise_and_fall(peak: float, steps: int, warm_up: float) -> optimizers.schedules.LearningRateSchedule:
    """From a twentieth of `peak` up to it in a line over `warm_up` of the steps, then down to 0 as half a cosine."""
    warm = max(1, int(steps * warm_up))
    return optimizers.schedules.CosineDecay(peak / 20, max(1, steps - warm), warmup_target=peak, warmup_steps=warm)


def decay_in_loss(weight_decay: float) -> regularizers.Regularizer:
    """Weight decay as papers before AdamW have it, in the gradient and so in the momentum: the gradient of this penalty
    is `weight_decay` * weight."""
    return regularizers.L2(weight_decay / 2)
