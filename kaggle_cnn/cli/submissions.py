"""submissions: what was sent, and its scores."""

from kaggle_cnn.cli.terminal import CompetitionOption, JsonOption, app, console, print_json, print_line, progress, say
from kaggle_cnn.errors import KcnnError
from kaggle_cnn.workspace import Workspace


@app.command()
def submissions(competition: CompetitionOption = None, as_json: JsonOption = False) -> None:
    """List what was submitted, with its scores."""
    from kaggle_cnn.competition import ledger
    from kaggle_cnn.competition.opening import open_competition
    from kaggle_cnn.insight import tables
    from kaggle_cnn.kaggle import competitions as kaggle
    from kaggle_cnn.kaggle.login import connect

    workspace = Workspace.find()
    found = open_competition(workspace, competition)
    listed = []
    if found.host == "kaggle":
        with progress() as shown:
            try:
                listed = kaggle.submissions(connect(shown), found.slug)
            except KcnnError as error:
                say(f"note: these are the scores that were seen last: {error.message}")
    entries = ledger.update(workspace.submissions(found.name), listed)
    if as_json:
        return print_json(entries)
    if not entries:
        return say(f"nothing has been submitted to '{found.name}' yet: kcnn submit")
    console().print(tables.submissions_table(entries))
    metric = found.task.metric
    if together := ledger.correlation(entries, metric.name):
        interval = f"95 % interval {together.low:.2f} to {together.high:.2f}, {together.submissions} submissions"
        print_line(f"correlation of validation and public {metric.title}: {together.value:.2f} ({interval})")
        if together.is_doubtful and together.submissions > 3:
            say("note: the public score may not follow your validation: choose by validation, and less by either")
    return None
