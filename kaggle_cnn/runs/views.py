"""What test-time augmentation gains: policies against one view, and weights of the views by hill climbing."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from kaggle_cnn.competition.loss import loss_each
from kaggle_cnn.competition.metrics import Array
from kaggle_cnn.competition.task import Task
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.runs.climb import climb
from kaggle_cnn.runs.fit_decision import fit_decision, use
from kaggle_cnn.runs.nested import Predicted, judge, predict_nested
from kaggle_cnn.runs.predictions import Predictions
from kaggle_cnn.runs.run import SEARCHED, Run, write_json
from kaggle_cnn.runs.scores import list_policies
from kaggle_cnn.tta import WHOLE, views_of, write_policy


def judge_policies(run: Run, task: Task, predictions: Predictions) -> list[dict[str, Any]]:
    """Return of each policy that out-of-fold `predictions` allow, as plain values: policy; passes, how many views of an
    image the network sees; score, the task's metric; and gain over "none", its difference, low and high, None for
    "none" itself. The fewest passes first.

    Each policy has its own decision rule, fitted on these images.
    """
    targets, found, predicted = predictions.true, [], {}
    for policy in sorted(list_policies(run, predictions), key=lambda policy: len(views_of(policy))):
        scores = predictions.scores(task, policy)
        rule = fit_decision(task, targets, scores)
        predicted[policy] = rule.adjust(scores), rule.decide(scores)
        gain = None
        if policy != "none" and "none" in predicted:
            gain = asdict(judge(task, targets, predicted["none"], predicted[policy], fitted=False))
        score = task.metric.score(targets, *predicted[policy], None)
        found.append({"policy": policy, "passes": len(views_of(policy)), "score": score, "gain": gain})
    return found


def search_views(run: Run, task: Task, predictions: Predictions) -> dict[str, Any]:
    """Find the weights of the predicted views at which the loss of out-of-fold `predictions` is least, by hill
    climbing; keep them in the run's tta.json where their gain over its own policy, nested, is beyond noise.

    Returns policy, in the form of tta.find_policy; over, the policy without a search; gain, and whether it is kept.
    Raises KcnnError where there is one view alone.
    """
    targets, views, over = predictions.true, predictions.views, str(run.record["tta"])
    if views == (WHOLE,) or len(views) < 2:
        raise KcnnError(
            f"run {run.id} has predictions of one view: there is nothing to weigh",
            "kcnn tta RUN --tta ten-crop --search predicts more views first",
        )
    logits = np.moveaxis(predictions.logits, 1, 0)
    own = predictions.scores(task, over)

    def find(rows: Array) -> Array:
        given, true = logits[:, rows], targets[rows]
        return climb(given, lambda mean: -float(loss_each(task, true, task.activate(mean)).mean()))

    def weigh(rows: Array) -> Callable[[Array], Predicted]:
        return use(fit_decision, task, targets, task.activate(np.tensordot(find(rows), logits, axes=1)))(rows)

    before, after = predict_nested(targets, [use(fit_decision, task, targets, own), weigh])
    gain = judge(task, targets, before, after)
    weights = dict(zip(views, find(np.arange(len(targets))).tolist(), strict=True))
    policy = write_policy({view: round(weight, 4) for view, weight in weights.items()})
    found = {"policy": policy, "over": over, "gain": asdict(gain)}
    path = run.folder / SEARCHED
    if gain.beyond_noise:
        write_json(path, found)
    else:
        path.unlink(missing_ok=True)
    return {**found, "kept": gain.beyond_noise}
