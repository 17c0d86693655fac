"""Submit and the scores through the real `kaggle` package, over HTTP."""

import os
import signal
import time
from pathlib import Path

import pandas as pd
import pytest
from conftest import environment, error_of
from launching import launch

from kaggle_cnn.files import one_at_a_time


@pytest.fixture
def submission(online, work):
    """A fetched `colours` and a good submission of it, made by hand."""
    online("fetch", "colours")
    path = work / "mine.csv"
    path.write_text("id,character\n" + "".join(f"{number},blue\n" for number in range(6, 0, -1)))
    return path


def test_a_malformed_file_never_leaves(kaggle, online, submission):
    submission.write_text("id,character\n1,blue\n")
    before = dict(kaggle.seen)
    assert "are missing" in error_of(online("submit", submission, "--yes", code=1))[0]
    assert dict(kaggle.seen) == before


def test_a_competition_under_another_name(kaggle, online, submission):
    """The name here is the user's; Kaggle knows its own."""
    online("fetch", "colours", "--name", "mine")
    assert "public score" in online("submit", submission, "--yes").stdout
    assert kaggle.seen["CreateSubmission"] == 1
    assert "mine.csv" in online("submissions", "-c", "mine").stdout
    assert "place" in online("leaderboard", "-c", "mine").stdout


def test_the_upload_is_tried_again_the_submission_is_not(kaggle, online, submission):
    kaggle.faults["PUT"] = [503, 503]
    kaggle.faults["StartSubmissionUpload"] = [500]
    online("submit", submission, "--yes")
    assert (kaggle.seen["PUT"], kaggle.seen["CreateSubmission"]) == (3, 1)
    kaggle.faults["PUT"] = [403]
    assert "uploading mine.csv" in error_of(online("submit", submission, "--yes", code=1))[0]
    assert kaggle.seen["CreateSubmission"] == 1
    kaggle.faults["CreateSubmission"] = [500]
    assert "500" in error_of(online("submit", submission, "--yes", code=1))[0]
    assert kaggle.seen["CreateSubmission"] == 2
    kaggle.faults["CreateSubmission"] = ["hang"]
    error, hint = error_of(online("submit", submission, "--yes", code=1, env={"KCNN_TIMEOUT": "1"}))
    assert "the response to the submission was lost" in error
    assert "kcnn submissions" in hint
    assert kaggle.seen["CreateSubmission"] == 3


def test_a_verdict_of_error(kaggle, online, submission, work):
    kaggle.tasks["colours"].error = "ERROR: Unable to find '4' in the solution, see row 2"
    done = online("submit", submission, "--yes", code=1)
    assert "Unable to find '4'" in error_of(done)[0]
    assert "line 3 of mine.csv: 5,blue" in done.stderr
    assert "line 4 of mine.csv: 4,blue" in done.stderr
    assert ",error," in (work / "submissions" / "colours" / "scores.csv").read_text()
    assert kaggle.seen["CreateSubmission"] == 1


def test_no_submission_left(kaggle, online, submission):
    kaggle.tasks["colours"].daily_limit = 0
    assert "no submission is left today" in error_of(online("submit", submission, "--yes", code=1))[0]
    assert kaggle.seen["StartSubmissionUpload"] == kaggle.seen["PUT"] == kaggle.seen["CreateSubmission"] == 0


@pytest.mark.parametrize("described_before", [True, False])
def test_a_code_competition(kaggle, online, submission, described_before):
    kaggle.tasks["colours"].code_only = True
    if not described_before:  # an older server, or one that does not say
        kaggle.faults["GetCompetition"] = kaggle.faults["ListCompetitions"] = [404, 404]
    assert "is a code competition" in error_of(online("submit", submission, "--yes", code=1))[0]
    assert kaggle.seen["CreateSubmission"] == (0 if described_before else 1)


def test_nobody_says_yes(kaggle, online, submission):
    assert "not submitted" in error_of(online("submit", submission, code=1))[0]
    assert kaggle.seen["StartSubmissionUpload"] == 0


def test_submissions_without_a_network(kaggle, online, submission):
    online("submit", submission, "--yes")
    kaggle.faults["ListSubmissions"] = [401]
    done = online("submissions")
    assert "the scores that were seen last" in done.stderr
    assert "complete" in done.stdout


def test_what_is_optional_may_fail(kaggle, online, submission):
    kaggle.faults["GetCompetition"] = ["page", 500]
    kaggle.faults["ListCompetitions"] = [404, 404]
    kaggle.faults["GetSubmissionLimits"] = [500]
    kaggle.faults["GetSubmission"] = [404] * 9
    assert "public score" in online("submit", submission, "--yes").stdout


@pytest.mark.parametrize("fault", ["page", 500, "hang"])
def test_after_sending_no_hint_says_to_send_it_again(kaggle, online, submission, work, fault):
    kaggle.faults["GetSubmission"] = [(fault, {"Retry-After": "0"}) if fault == 500 else fault] * 9
    error, hint = error_of(online("submit", submission, "--yes", code=1, env={"KCNN_TIMEOUT": "1"}))
    assert "submitted as 4000, but the request for its score failed" in error
    assert "do not submit it again" in hint
    assert ",4000,mine.csv," in (work / "submissions" / "colours" / "scores.csv").read_text()
    kaggle.faults = type(kaggle.faults)(list, CreateSubmission=[fault])
    error, hint = error_of(online("submit", submission, "--yes", code=1, env={"KCNN_TIMEOUT": "1"}))
    assert "the response to the submission was lost" in error
    assert "submit again only if not" in hint
    assert kaggle.seen["CreateSubmission"] == 2


@pytest.mark.parametrize(
    ("status", "text", "error"),
    [
        (400, "Submission file exceeds the maximum allowed size of 100MB", "Kaggle responded with 400"),
        (400, "Your team has used its daily Submission allowance (5) today", "no more submissions today"),
        (403, "You must accept this competition's rules", "you have not accepted the rules"),
        (400, "This competition only accepts Submissions from Notebooks", "is a code competition"),
    ],
)
def test_why_a_submission_was_not_taken(kaggle, online, submission, status, text, error):
    kaggle.faults["CreateSubmission"] = [(status, {"text": text})]
    found = error_of(online("submit", submission, "--yes", code=1))[0]
    assert error in found
    assert text in found


def test_what_was_checked_is_what_is_sent(kaggle, online, submission):
    text = submission.read_text()
    submission.write_bytes(
        b"\xef\xbb\xbf" + text.replace(",", " , ").replace("id , ", "id,").replace("\n", "\r\n").encode()
    )
    online("submit", submission, "--yes")
    assert kaggle.uploads["blob1"].decode() == text


def test_a_damaged_ledger_is_said_before_anything_is_sent(kaggle, online, submission, work):
    (work / "submissions" / "colours").mkdir(parents=True)
    (work / "submissions" / "colours" / "scores.csv").write_bytes(b"")
    assert "scores.csv is not a CSV" in error_of(online("submit", submission, "--yes", code=1))[0]
    assert kaggle.seen["CreateSubmission"] == 0


def test_two_at_once_are_not_sent_both(kaggle, online, submission, work):
    folder = work / "submissions" / "colours"
    folder.mkdir(parents=True)
    with one_at_a_time(folder / ".sending.json"):
        assert "another kcnn is at work" in error_of(online("submit", submission, "--yes", code=1))[0]
    assert kaggle.seen["CreateSubmission"] == 0


@pytest.mark.parametrize("moment", ["before", "after"])
def test_stopped_while_it_is_sent_it_is_not_sent_twice(kaggle, online, submission, work, moment):
    """SIGKILL when Kaggle is asked to create the submission, before it does or after it did and before it responds."""
    task, create = kaggle.tasks["colours"], kaggle.CreateSubmission
    surroundings = environment(HOME=str(work), **kaggle.environment())
    nowhere = Path(os.devnull)
    running = []

    def kill(request):
        made = create(request) if moment == "after" else None
        os.kill(running[0].pid, signal.SIGKILL)
        time.sleep(0.2)
        return made or {}

    kaggle.CreateSubmission = kill
    running.append(launch(["submit", submission, "--yes"], work, surroundings, nowhere, nowhere))
    process = running[0]
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    kaggle.CreateSubmission = create
    assert len(task.submissions) == (1 if moment == "after" else 0)
    task.daily_limit = 1  # the one that was sent does not stand in its own way
    done = online("submit", submission, "--yes")
    assert ("it was sent as 4000 before" in done.stderr) == (moment == "after")
    assert "public score" in done.stdout
    assert len(task.submissions) == 1
    assert len(pd.read_csv(work / "submissions" / "colours" / "scores.csv")) == 1
    task.daily_limit = 2
    online("submit", submission, "--yes")  # on purpose, once more
    assert len(task.submissions) == 2


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_does_not_create_a_second_submission(kaggle, online, submission, status):
    again = "http://localhost/api/v1/competitions.CompetitionApiService/CreateSubmission"
    kaggle.faults["CreateSubmission"] = [(status, {"Location": again})]
    assert "Kaggle created no submission" in error_of(online("submit", submission, "--yes", code=1))[0]
    assert kaggle.seen["CreateSubmission"] == 1
    kaggle.faults["PUT"] = [(status, {"Location": "http://storage.test/upload/other"})]
    assert f"responded with {status}" in error_of(online("submit", submission, "--yes", code=1))[0]
    assert kaggle.seen["CreateSubmission"] == 1
