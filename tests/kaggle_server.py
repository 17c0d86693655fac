"""A small Kaggle on this computer: it speaks the protocol of the `kaggle` package over HTTP, with faults on request.

The client is not changed. Its own settings (see `environment`) lead it here: with KAGGLE_API_ENVIRONMENT=LOCALHOST it
calls http://localhost/api/..., and http_proxy leads that, and http://storage.test/..., to this server's port.
"""

import base64
import contextlib
import csv
import hashlib
import io
import json
import threading
import time
import zipfile
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote, urlsplit

MODIFIED = "Wed, 21 Oct 2026 07:28:00 GMT"


@dataclass
class Task:
    """One competition: its files, and what the server knows of it."""

    files: dict[str, bytes]
    title: str = "A task"
    metric: str = "Categorization Accuracy"
    accepted: bool = True  # the rules, by the one user there is
    code_only: bool = False
    daily_limit: int = 5
    solution: dict[str, str] = field(default_factory=dict)  # id -> label: scores submissions by accuracy
    error: str = ""  # every submission ends in ERROR with this reason, if there is one
    polls: int = 2  # how many requests for a submission come before its score
    board: list[tuple[str, str]] = field(default_factory=list)  # (team, score)
    submissions: list[dict] = field(default_factory=list)

    def archive(self) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as target:
            for name, content in self.files.items():
                target.writestr(zipfile.ZipInfo(name, (2026, 10, 21, 7, 28, 0)), content)
        return buffer.getvalue()


class Kaggle:
    """`tasks`: slug -> Task. `seen`: the number of calls of each method; those of the storage are GET and PUT.

    `faults`: method -> list of faults, one for each of the next calls: a status, (status, headers), "hang", "page" (a
    web page in place of JSON), "drip", ("body", {"content": bytes}), ("stream", ...), or for GET ("cut", bytes); None
    is no fault. Among the headers, `text` is the message
    and `plain` says that it is not JSON.
    """

    user, key, token = "tester", "secret-key-0123", "secret-token-4567"

    def __init__(self, **tasks: Task):
        self.tasks = {slug.replace("_", "-"): task for slug, task in tasks.items()}  # a data set is OWNER/NAME
        self.seen, self.ranges, self.times = defaultdict(int), [], []
        self.faults: dict[str, list] = defaultdict(list)
        self.uploads: dict[str, bytes] = {}
        self.stop = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.stop.set()
        self.server.shutdown()
        self.server.server_close()

    def environment(self, **extra: str) -> dict[str, str]:
        settings = {
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "http_proxy": f"http://127.0.0.1:{self.server.server_port}",
            "no_proxy": "",
            "NO_PROXY": "",
            "KAGGLE_USERNAME": self.user,
            "KAGGLE_KEY": self.key,
        }
        return {**settings, **extra}

    def handler(self):
        kaggle = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                method = self.path.rpartition("/")[2]
                if self.meets_fault(method):
                    return None
                if method == "IntrospectToken":
                    active = json.loads(body)["token"] == kaggle.token
                    return self.give({"active": True, "username": kaggle.user} if active else {})
                if not self.signed_in():
                    return self.refuse(401, "Unauthenticated")
                respond = getattr(kaggle, method, None)
                if respond is None:
                    return self.refuse(404, "Not found")
                try:
                    given = respond(json.loads(body or "{}"))
                except RefusedError as refusal:
                    return self.refuse(refusal.status, refusal.message)
                if isinstance(given, str):
                    self.send_response(302)
                    self.send_header("Location", given)
                    self.send_header("Content-Length", "0")
                    return self.end_headers()
                self.give(given)

            def do_PUT(self):
                content = self.rfile.read(int(self.headers["Content-Length"]))
                if self.meets_fault("PUT"):
                    return
                assert "Authorization" not in self.headers
                kaggle.uploads[urlsplit(self.path).path.rpartition("/")[2]] = content
                self.give({})

            def do_GET(self):
                fault = kaggle.next_fault("GET")
                asked = self.headers.get("Range")
                kaggle.ranges.append(asked)
                if fault is not None and fault[0] != "cut":
                    return self.meet(fault)
                _, slug, name = urlsplit(self.path).path.split("/", 2)
                task = kaggle.tasks[unquote(slug)]
                content = task.archive() if name in (f"{slug}.zip", "archive.zip") else task.files[unquote(name)]
                tag = f'"{hashlib.md5(content).hexdigest()}"'
                start = 0
                if asked and self.headers.get("If-Range", tag) == tag:
                    start = int(asked.removeprefix("bytes=").rstrip("-"))
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(content) - start))
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                self.send_header("Content-Type", "application/octet-stream")
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("ETag", tag)
                self.send_header("Last-Modified", MODIFIED)
                digest = base64.b64encode(hashlib.md5(content).digest()).decode()
                self.send_header("x-goog-hash", f"crc32c=AAAAAA==,md5={digest}")
                self.end_headers()
                end = start + fault[1] if fault else len(content)
                try:
                    for place in range(start, min(end, len(content)), 65536):
                        self.wfile.write(content[place : min(place + 65536, end)])
                        if kaggle.stop.is_set():
                            return None
                        time.sleep(kaggle.seconds_a_chunk)
                except OSError:  # the client has gone
                    self.close_connection = True
                if fault:
                    self.close_connection = True
                    self.wfile.flush()
                    self.connection.close()

            def meets_fault(self, method) -> bool:
                fault = kaggle.next_fault(method)
                if fault is not None:
                    self.meet(fault)
                return fault is not None

            def meet(self, fault):
                status, headers = fault
                if status == "hang":
                    kaggle.stop.wait(60)
                    self.close_connection = True
                    return None
                if status == "body":  # 200 with this content, and headers such as Content-Encoding
                    content = headers.pop("content")
                    return self.send(content, 200, {"Content-Type": "application/json", **headers})
                if status == "drip":  # a byte now and then, without end
                    self.send_response(200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", "1000000")
                    self.end_headers()
                    while not kaggle.stop.wait(0.3):
                        try:
                            self.wfile.write(b" ")
                        except OSError:
                            break
                    self.close_connection = True
                    return None
                if status == "stream":  # no length; `content`, again and again so many `times`
                    self.send_response(200)
                    self.send_header("Connection", "close")
                    self.end_headers()
                    with contextlib.suppress(OSError):
                        for _ in range(headers.get("times", 1)):
                            self.wfile.write(headers["content"])
                    self.close_connection = True
                    return None
                if status == "page":  # a login page between the client and Kaggle
                    return self.send(b"<html>login</html>", 200, {"Content-Type": "text/html"})
                text = headers.pop("text", f"fault {status}")
                if headers.pop("plain", False):
                    return self.send(text.encode(), status, {"Content-Type": "text/plain"})
                self.give({"code": status, "message": text}, status, headers)

            def signed_in(self) -> bool:
                basic = base64.b64encode(f"{kaggle.user}:{kaggle.key}".encode()).decode()
                return self.headers.get("Authorization") in (f"Basic {basic}", f"Bearer {kaggle.token}")

            def refuse(self, status, message):
                self.give({"code": status, "message": message}, status)

            def give(self, value, status=200, headers=None):
                self.send(json.dumps(value).encode(), status, {"Content-Type": "application/json", **(headers or {})})

            def send(self, body, status, headers):
                self.send_response(status)
                for name, text in headers.items():
                    self.send_header(name, text)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler

    seconds_a_chunk = 0.0

    def next_fault(self, method: str):
        self.seen[method] += 1
        self.times.append((method, time.monotonic()))
        fault = self.faults[method].pop(0) if self.faults[method] else None
        if fault is None:
            return None
        return fault if isinstance(fault, tuple) else (fault, {})

    def task(self, request: dict, needs_rules: bool = True) -> Task:
        task = self.tasks.get(request["competitionName"])
        if task is None:  # Kaggle responds like this to a mistyped name
            raise RefusedError(403, "Permission 'competitions.get' was denied")
        if needs_rules and not task.accepted:
            raise RefusedError(403, "You must accept this competition's rules before you'll be able to download files.")
        return task

    # The protocol, one method each; names as in the URLs.

    def ListDataFiles(self, request):
        names = list(self.task(request).files)
        size, start = min(request.get("pageSize", 20), 200), int(request.get("pageToken") or 0)
        files = [
            {"name": name, "totalBytes": len(self.task(request).files[name]), "creationDate": "2026-10-21T07:28:00Z"}
            for name in names[start : start + size]
        ]
        return {"files": files, "nextPageToken": str(start + size) if start + size < len(names) else ""}

    def DownloadDataFiles(self, request):
        self.task(request)
        slug = request["competitionName"]
        return f"http://storage.test/{slug}/{slug}.zip?signature=abc"

    def DownloadDataFile(self, request):
        if request["fileName"] not in self.task(request).files:
            raise RefusedError(404, "Not found")
        return f"http://storage.test/{request['competitionName']}/{quote(request['fileName'])}?signature=abc"

    def dataset(self, request: dict) -> tuple[str, Task]:
        slug = f"{request['ownerSlug']}/{request['datasetSlug']}"
        if slug not in self.tasks:
            raise RefusedError(403, "Permission 'datasets.get' was denied")
        return quote(slug, safe=""), self.tasks[slug]

    def ListDatasetFiles(self, request):
        files = self.dataset(request)[1].files
        size, start = min(request.get("pageSize", 20), 200), int(request.get("pageToken") or 0)
        names = list(files)[start : start + size]
        return {
            "datasetFiles": [{"name": name, "totalBytes": len(files[name])} for name in names],
            "nextPageToken": str(start + size) if start + size < len(files) else "",
        }

    def DownloadDataset(self, request):
        slug, _ = self.dataset(request)
        return f"http://storage.test/{slug}/{quote(request.get('fileName') or 'archive.zip')}?signature=abc"

    def GetDataset(self, request):
        return {"title": self.dataset(request)[1].title}

    def describe(self, slug: str) -> dict:
        task = self.tasks[slug]
        return {
            "id": 1,
            "ref": f"https://www.kaggle.com/competitions/{slug}",
            "title": task.title,
            "deadline": "2026-12-31T23:59:00Z",
            "maxDailySubmissions": task.daily_limit,
            "evaluationMetric": task.metric,
            "userHasEntered": task.accepted,
            "isKernelsSubmissionsOnly": task.code_only,
        }

    def GetCompetition(self, request):
        self.task(request, needs_rules=False)
        return self.describe(request["competitionName"])

    def ListCompetitions(self, request):
        words = request.get("search", "").split()
        return {"competitions": [self.describe(slug) for slug in self.tasks if all(word in slug for word in words)]}

    def GetSubmissionLimits(self, request):
        task = self.task(request)
        return {"numToday": len(task.submissions), "numAllowedNow": max(0, task.daily_limit - len(task.submissions))}

    def StartSubmissionUpload(self, request):
        self.task(request)
        token = f"blob{len(self.uploads) + 1}"
        return {"token": token, "createUrl": f"http://storage.test/upload/{token}"}

    def CreateSubmission(self, request):
        task = self.task(request)
        if task.code_only:
            raise RefusedError(400, "Submission not allowed: This competition only accepts Submissions from Notebooks.")
        content = self.uploads[request["blobFileTokens"]]
        rows = list(csv.reader(io.StringIO(content.decode())))[1:]
        right = sum(task.solution.get(row[0]) == row[1] for row in rows) / max(1, len(rows))
        entry = {
            "ref": 4000 + len(task.submissions),
            "fileName": "submission.csv",
            "date": "2026-11-21T10:00:00Z",
            "description": request.get("submissionDescription", ""),
            "status": "PENDING",
            "asked": 0,
            "score": f"{right:.5f}",
        }
        task.submissions.append(entry)
        return {"message": "Successfully submitted", "ref": entry["ref"]}

    def shown(self, task: Task, entry: dict) -> dict:
        entry["asked"] += 1
        if entry["asked"] >= task.polls:
            entry["status"] = "ERROR" if task.error else "COMPLETE"
            entry.update({"errorDescription": task.error} if task.error else {"publicScore": entry["score"]})
        return {name: value for name, value in entry.items() if name not in ("asked", "score")}

    def GetSubmission(self, request):
        for task in self.tasks.values():
            for entry in task.submissions:
                if entry["ref"] == request["ref"]:
                    return self.shown(task, entry)
        raise RefusedError(404, "Not found")

    def ListSubmissions(self, request):
        task = self.task(request)
        return {"submissions": [self.shown(task, entry) for entry in reversed(task.submissions)]}

    def GetLeaderboard(self, request):
        rows = [
            {"teamId": number, "teamName": team, "submissionDate": "2026-11-20T10:00:00Z", "score": score}
            for number, (team, score) in enumerate(self.task(request).board, 1)
        ]
        return {"submissions": rows}


class RefusedError(Exception):
    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status, self.message = status, message
