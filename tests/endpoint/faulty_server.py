"""An OpenAI-compatible server that does what a test tells it, rightly or wrongly, and counts what it was paid for.

`Server(behave)`: `behave(body, number)` says what to do with a chat completion, `number` counting those of the same
body from 0. It returns one of the functions below (`says`, `status`, ...). Files and batches follow the documentation
of the API (/v1/files, /v1/batches): a batch is done at the third look.
"""

from __future__ import annotations

import email
import email.policy
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-secret-0123456789abcdef"
Reply = tuple[int, dict[str, str], bytes]


def says(text: str | None, finish: str = "stop", refusal: str | None = None, usage: bool = True) -> Callable:
    """A completion with this text."""

    def make(server: Server, body: dict) -> Reply:
        tokens = {"prompt_tokens": prompt_tokens(body), "completion_tokens": min(body["max_tokens"], 10)}
        message = {"role": "assistant", "content": text, "refusal": refusal}
        content = {
            "id": "chat-1",
            "object": "chat.completion",
            "created": 1,
            "model": f"{body['model']}-dated",
            "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
        }
        if usage:
            content["usage"] = {**tokens, "total_tokens": sum(tokens.values())}
        server.paid(tokens)
        return 200, {}, json.dumps(content).encode()

    return make


def prompt_tokens(body: dict) -> int:
    """A token for every four bytes."""
    return sum(len(message["content"].encode()) for message in body["messages"]) // 4


def status(code: int, message: str = "no", error: str | None = None, **headers: str) -> Callable:
    """An HTTP error in the API's form; `retry_after="1"` becomes its header."""

    def make(server: Server, body: dict) -> Reply:
        content = {"error": {"message": message, "type": "error", "param": None, "code": error}}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return code, named, json.dumps(content).encode()

    return make


def slowly(seconds: float, then: Callable) -> Callable:
    """The same, but later."""

    def make(server: Server, body: dict) -> Reply:
        server.over.wait(seconds)
        return then(server, body)

    return make


def broken(server: Server, body: dict) -> Reply:
    """A body that ends in the middle of its JSON."""
    return 200, {}, says("x")(server, body)[2][:60]


def page(server: Server, body: dict) -> Reply:
    """A proxy's page in place of an answer."""
    return 200, {"content-type": "text/html"}, b"<html>busy</html>"


def closed(server: Server, body: dict) -> None:
    """The connection ends without an answer."""


class Server:
    """The server, as a context manager; `url` is what a study's `base_url` would be."""

    def __init__(self, behave: Callable[[dict, int], Callable], key: str = KEY):
        self.behave, self.key = behave, key
        self.seen: Counter[str] = Counter()
        self.starts: list[float] = []
        self.requests = self.answers = self.prompt_tokens = self.answer_tokens = 0
        self.at_once = self.most_at_once = 0
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.calls: Counter[str] = Counter()
        self.lost_lines = 0
        """Lines of a batch that get no answer the next time."""
        self.over = threading.Event()
        self.lock = threading.RLock()

    def __enter__(self) -> Server:
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exc) -> None:
        self.over.set()
        self.http.shutdown()
        self.http.server_close()

    def paid(self, tokens: dict[str, int]) -> None:
        with self.lock:
            self.answers += 1
            self.prompt_tokens += tokens["prompt_tokens"]
            self.answer_tokens += tokens["completion_tokens"]

    def complete(self, body: dict) -> Reply | None:
        with self.lock:
            name = json.dumps(body, sort_keys=True)
            number = self.seen[name]
            self.seen[name] += 1
            self.requests += 1
            self.starts.append(time.monotonic())
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return self.behave(body, number)(self, body)
        finally:
            with self.lock:
                self.at_once -= 1

    # --- files and batches ---

    def upload(self, content: bytes) -> dict[str, Any]:
        with self.lock:
            name = f"file-{len(self.files)}"
            self.files[name] = content
        return {"id": name, "object": "file", "bytes": len(content), "created_at": 1, "filename": "x.jsonl",
                "purpose": "batch", "status": "processed"}  # fmt: skip

    def make_batch(self, wanted: dict[str, Any]) -> dict[str, Any]:
        assert wanted["endpoint"] == "/v1/chat/completions"
        assert wanted["completion_window"] == "24h"
        with self.lock:
            name = f"batch-{len(self.batches)}"
            made = {"id": name, "object": "batch", "endpoint": wanted["endpoint"], "completion_window": "24h",
                    "created_at": 1, "input_file_id": wanted["input_file_id"], "status": "in_progress",
                    "metadata": wanted["metadata"], "output_file_id": None, "error_file_id": None}  # fmt: skip
            self.batches[name] = made
            return made

    def look(self, name: str) -> dict[str, Any]:
        with self.lock:
            self.calls[name] += 1
            batch = self.batches[name]
            if self.calls[name] >= 3 and batch["status"] == "in_progress":
                self._carry_out(batch)
            return batch

    def _carry_out(self, batch: dict[str, Any]) -> None:
        good, bad = [], []
        lines = [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
        lost, self.lost_lines = self.lost_lines, 0
        for line in reversed(lines[lost:]):  # in any order, as documented
            code, _, content = self.complete(line["body"])
            response = {"status_code": code, "request_id": "r", "body": json.loads(content)}
            found = {"id": "b", "custom_id": line["custom_id"], "response": response, "error": None}
            (good if code == 200 else bad).append(json.dumps(found))
        for line in lines[:lost]:
            error = {"code": "batch_expired", "message": "it took too long"}
            found = {"id": "b", "custom_id": line["custom_id"], "response": None, "error": error}
            bad.append(json.dumps(found))
        batch["output_file_id"] = self.upload("\n".join(good).encode())["id"] if good else None
        batch["error_file_id"] = self.upload("\n".join(bad).encode())["id"] if bad else None
        batch["status"] = "expired" if lost else "completed"


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args) -> None:
            pass

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["content-length"]))
            if not self._allowed():
                return
            path = self.path.removeprefix("/v1")
            if path == "/chat/completions":
                found = server.complete(json.loads(content))
                if found is None:
                    self.close_connection = True
                    return
                self._send(*found)
            elif path == "/files":
                self._json(server.upload(self._part(content, "file")))
            elif path == "/batches":
                self._json(server.make_batch(json.loads(content)))
            else:
                self._send(*status(404, "no such address")(server, {}))

        def do_GET(self) -> None:
            if not self._allowed():
                return
            path = self.path.removeprefix("/v1").split("?")[0].strip("/").split("/")
            if path == ["batches"]:
                newest = list(server.batches.values())[::-1]
                self._json({"object": "list", "data": newest, "has_more": False})
            elif path[0] == "batches":
                self._json(server.look(path[1]))
            elif path[0] == "files" and path[2:] == ["content"]:
                self._send(200, {"content-type": "application/octet-stream"}, server.files[path[1]])
            else:
                self._send(*status(404, "no such address")(server, {}))

        def _allowed(self) -> bool:
            given = self.headers.get("authorization", "")
            if given == f"Bearer {server.key}":
                return True
            self._send(*status(401, f"Incorrect API key provided: {given}", "invalid_api_key")(server, {}))
            return False

        def _part(self, content: bytes, name: str) -> bytes:
            head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
            for part in email.message_from_bytes(head + content, policy=email.policy.HTTP).iter_parts():
                if part.get_param("name", header="content-disposition") == name:
                    return part.get_payload(decode=True)
            raise AssertionError(f"no part {name}")

        def _json(self, content: dict) -> None:
            self._send(200, {}, json.dumps(content).encode())

        def _send(self, code: int, headers: dict[str, str], content: bytes) -> None:
            try:
                self.send_response(code)
                for name, value in {"content-type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except (BrokenPipeError, ConnectionResetError):  # who asked has gone
                self.close_connection = True

    return Handler
