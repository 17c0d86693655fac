"""Optimizers that several recipes share: functions of (learning_rate, steps), for a recipe to name."""

from keras import optimizers


def adamw_one_cycle(learning_rate, steps, weight_decay=0.05, warm_up=0.25):
    """AdamW, whose rate rises over the first `warm_up` of training and falls to nothing as a cosine (Smith 2018)."""
    return optimizers.AdamW(rise_and_fall(learning_rate, steps, warm_up), weight_decay=weight_decay)


def nesterov_one_cycle(learning_rate, steps, momentum=0.9, warm_up=0.15):
    """SGD with Nesterov's momentum and that schedule. What weight decay there is, is the model's."""
    return optimizers.SGD(rise_and_fall(learning_rate, steps, warm_up), momentum=momentum, nesterov=True)


def sgd_momentum(learning_rate, steps, momentum=0.9):
    """SGD at a constant rate, which the knob `plateau` may lower."""
    return optimizers.SGD(learning_rate, momentum=momentum)


def rise_and_fall(peak: float, steps: int, warm_up: float) -> optimizers.schedules.LearningRateSchedule:
    """From a twentieth of `peak` up to it in a line over `warm_up` of the steps, then down to 0 as half a cosine."""
    warm = max(1, int(steps * warm_up))
    return optimizers.schedules.CosineDecay(peak / 20, max(1, steps - warm), warmup_target=peak, warmup_steps=warm)
