"""The page to try it: what the server answers and refuses, what stops nothing, and what a browser shows."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from matcalc.serve.answers import Parts
from matcalc.serve.boxes import EXAMPLES, KINDS, Asked, Example
from matcalc.serve.workers import BrokenError, BusyError, TooLongError, Workers

uvicorn = pytest.importorskip("uvicorn", reason="the page is served by uvicorn")

# --- processes ------------------------------------------------------------------------------------------------------------------


def moody(asked: Any) -> Any:
    """A worker that does what it is told: sleep, nap, spin, die, or eat memory."""
    word = asked.f if isinstance(asked, Asked) else asked
    if word == "sleep":
        time.sleep(60)
    if word == "nap":
        time.sleep(0.7)
    if word == "spin":
        while True:
            pass
    if word == "die":
        os._exit(7)
    if word == "eat":
        return len(bytearray(2**40))
    if word == "who":
        return os.getpid()
    return {"result": f"<b>{word}</b>"} if isinstance(asked, Asked) else word


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    pool = Workers(moody, count=1, waiting=1, first="hello")
    yield pool
    pool.close()


def test_an_answer_comes_back(workers: Workers) -> None:
    assert workers.ask("hello", 5) == "hello"


@pytest.mark.parametrize(("word", "error"), [("sleep", TooLongError), ("spin", TooLongError), ("die", BrokenError), ("eat", BrokenError)])
def test_a_process_that_fails_is_replaced(workers: Workers, word: str, error: type[Exception]) -> None:
    """The next question is answered by another process, and the old one is gone."""
    before = workers.ask("who", 5)
    started = time.monotonic()
    with pytest.raises(error):
        workers.ask(word, 0.3 if error is TooLongError else 10)
    assert time.monotonic() - started < 10
    after = workers.ask("who", 5)
    assert after != before
    assert workers.processes() == [after]
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)


def test_too_many_questions_are_refused(workers: Workers) -> None:
    """One is answered, one waits, and the third is told at once."""
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(workers.ask, "sleep", 0.5) for _ in range(2)]
        time.sleep(0.1)
        with pytest.raises(BusyError):
            workers.ask("hello", 5)
        assert {type(each.exception()) for each in waiting} == {TooLongError}
    assert workers.ask("hello", 5) == "hello"


def test_closing_ends_what_runs() -> None:
    """Whoever waits is told at once."""
    pool = Workers(moody, count=1, waiting=1, first="hello")
    assert pool.ask("hello", 30) == "hello"
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(pool.ask, "sleep", 60)
        time.sleep(0.2)
        pool.close()
        assert isinstance(waiting.exception(5), BrokenError)
    with pytest.raises(BrokenError):
        pool.ask("hello", 1)


# --- the server ------------------------------------------------------------------------------------------------------------------


class Site:
    """A server that runs, and requests to it as somebody without manners would make them."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.address = f"http://127.0.0.1:{port}/"

    def send(
        self, method: str, path: str, body: bytes | str | dict[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
        try:
            connection.request(method, path, urlencode(body) if isinstance(body, dict) else body, sent | (headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), {name.lower(): value for name, value in answer.getheaders()}
        finally:
            connection.close()

    def check(self, **boxes: str) -> Parts:
        status, text, _ = self.send("POST", "/check", boxes)
        assert status == 200, text
        return json.loads(text)

    def echo(self, **boxes: str) -> Parts:
        status, text, _ = self.send("POST", "/echo", boxes)
        assert status == 200, text
        return json.loads(text)


@contextmanager
def served(**options: Any) -> Iterator[Site]:
    """The application on a free port, in a thread."""
    from matcalc.serve.server import application

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(application(port, **options), log_level="warning", ws="none", lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield Site(port)
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with served() as running:
        yield running


@pytest.fixture(scope="module")
def moody_site() -> Iterator[Site]:
    with served(answers={"read": moody, "check": moody}, seconds={"read": 0.5, "check": 1.0}) as running:
        running.check(f="hello")
        yield running


def test_the_page_loads_nothing_from_elsewhere(site: Site) -> None:
    """Every address in it is its own, and the policy allows no other and no inline script."""
    status, text, headers = site.send("GET", "/")
    assert status == 200
    addresses = re.findall(r'(?:src|href|action)="([^"]*)"', text)
    assert addresses
    assert all(address.startswith(("/", "#")) and not address.startswith("//") for address in addresses)
    for address in {address for address in addresses if address.startswith("/assets/")}:
        assert site.send("GET", address)[0] == 200
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "set-cookie" not in headers
    assert not re.search(r"<script(?! src=)|style=|\son\w+=", text)


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example:{port}", "", "localhost:{port}@evil.example"]
)
def test_another_host_is_turned_away(site: Site, host: str) -> None:
    """A name that somebody lets point here would make the page part of somebody's site."""
    status, text, _ = site.send("GET", "/", headers={"Host": host.format(port=site.port)})
    assert (status, "matcalc" in text) == (421, False)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1:1"])
def test_another_sites_page_is_turned_away(site: Site, origin: str) -> None:
    status, _, _ = site.send("POST", "/check", {"f": "x"}, {"Origin": origin.format(port=site.port)})
    assert status == 403
    assert site.send("POST", "/echo", {"f": "x"}, {"Origin": site.address.rstrip("/")})[0] == 200


@pytest.mark.parametrize("path", ["/check", "/echo", "/"])
def test_what_is_no_form_is_refused(site: Site, path: str) -> None:
    """In one sentence each."""
    for body, headers, wanted in [
        (b"f=" + b"x" * 1_000_000, {}, 413),
        (b"f=" + b"(" * 20_001, {}, 413),
        (b"f=\xff\xfe", {}, 400),
        (b"&".join(b"a=1" for _ in range(100)), {}, 400),
        (b'{"f": "x"}', {"Content-Type": "application/json"}, 415),
        (b"x", {"Content-Type": "multipart/form-data; boundary=x"}, 415),
    ]:
        status, text, back = site.send("POST", path, body, headers)
        assert status == wanted
        assert text.count("\n") == 1
        assert len(text) < 200
        assert back["content-security-policy"]


@pytest.mark.parametrize(("method", "path"), [("GET", "/check"), ("PUT", "/"), ("DELETE", "/echo"), ("TRACE", "/")])
def test_other_methods_are_refused(site: Site, method: str, path: str) -> None:
    assert site.send(method, path)[0] == 405


ELSEWHERE = [
    "/assets/../templates/serve.html.jinja",
    "/assets/..%2f..%2f__init__.py",
    "/assets/%2e%2e/page.py",
    "/assets//etc/passwd",
    "/no",
]


@pytest.mark.parametrize("path", ELSEWHERE)
def test_other_files_are_not_there(site: Site, path: str) -> None:
    assert site.send("GET", path)[0] == 404


def test_a_question_that_hangs_stops_nothing(moody_site: Site) -> None:
    """It is answered after its time, other questions meanwhile, and the next ones by a new process."""
    with ThreadPoolExecutor(3) as threads:
        hanging = [threads.submit(moody_site.check, f=word) for word in ("spin", "sleep")]
        time.sleep(0.1)
        assert moody_site.echo(f="hello") == {"result": "<b>hello</b>"}
        assert all("took longer than 1 s" in each.result()["result"] for each in hanging)
    assert "memory" in moody_site.check(f="eat")["result"]
    assert "was stopped" in moody_site.check(f="die")["result"]
    assert moody_site.check(f="hello") == {"result": "<b>hello</b>"}


def test_more_than_a_few_are_asked_to_wait(moody_site: Site) -> None:
    with ThreadPoolExecutor(16) as threads:
        statuses = [each.result()[0] for each in [threads.submit(moody_site.send, "POST", "/check", {"f": "nap"}) for _ in range(16)]]
    assert set(statuses) == {200, 503}
    assert moody_site.check(f="hello") == {"result": "<b>hello</b>"}


@pytest.mark.parametrize("busy", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_ctrl_c_ends_it_cleanly(tmp_path: Path, *, busy: bool) -> None:
    """Also while its processes start, or a claim is judged; no process is left, nothing is said but the address."""
    program = tmp_path / "go.py"
    program.write_text(
        "from matcalc.serve.server import run\n"
        "if __name__ == '__main__':\n"
        "    run(0, open_browser=False, announce=lambda address: print(address, flush=True))\n"
        "    print('stopped')\n"
    )
    with subprocess.Popen(
        [sys.executable, program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        assert run.stdout is not None
        address = run.stdout.readline()
        port = int(address.rpartition(":")[2].strip().rstrip("/"))
        assert Site(port).send("GET", "/")[0] == 200
        if busy:
            Site(port).check(f="x'*x", wrt="x")
            body = urlencode({"f": "log(det(K))", "wrt": "K", "variables": "K: spd(3000)"})
            with socket.create_connection(("127.0.0.1", port)) as asking:
                form = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}"
                asking.sendall(f"POST /check HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{form}\r\n\r\n{body}".encode())
                time.sleep(0.5)
        os.killpg(run.pid, signal.SIGINT)
        out, err = run.communicate(timeout=20)
        assert (out, err, run.returncode) == ("stopped\n", "", 0)
    for _ in range(50):  # the last of them is about to go
        try:
            os.killpg(run.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("a process was left")


def test_a_port_that_is_taken() -> None:
    """One that was asked for is refused in a sentence; the usual one gives way to a free one."""
    from matcalc.serve import server
    from matcalc.serve.server import ServeError, run

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServeError, match=rf"port {port} of 127\.0\.0\.1 cannot be had: "):
            run(port, open_browser=False)
        with pytest.raises(ServeError, match="port 70000 of"):
            run(70000, open_browser=False)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(server, "PORT", port)
            with server._listening(None) as listener:
                assert listener.getsockname()[1] != port


# --- answers ----------------------------------------------------------------------------------------------------------------------

SAID = {"claim1": "Proved", "claim6": "Proved", "notes1": "Verified", "notes3": "Proved", "notes5": "Proved", "notes6": "Proved"}
"The verdicts on the examples that claim something right; the others are wrong."


@pytest.mark.parametrize("example", [one for group in EXAMPLES.values() for one in group], ids=lambda one: one.name)
def test_every_example_is_answered(site: Site, example: Example) -> None:
    """With the verdict that it must have, by the link as by the script, and with nothing that cannot be typeset."""
    parts = site.check(**example.asked.fields)
    says = re.search(r'data-says="(\w[\w ]*)\.', parts["result"])
    assert says is not None
    if example.asked.claim:
        assert says[1] == SAID.get(example.name, "Refuted")
    else:
        assert says[1] in {"Derived and proved", "Derived and verified"}
    assert 'class="graph"' in parts["result"]
    assert "✗ disagree" not in parts["result"]
    assert "not typeset" not in "".join(parts.values())
    status, text, _ = site.send("GET", f"/?example={example.name}")
    assert status == 200
    assert f'data-says="{says[1]}.' in text


@pytest.mark.parametrize(
    ("boxes", "place", "words"),
    [
        ({"f": "A @ x", "variables": "A: real(m, n)\nx: real(m)"}, "f", "A is m×n"),
        ({"f": "x +"}, "f", "the formula ends where"),
        ({"f": "x", "wrt": "y"}, "wrt", "f has no y"),
        ({"f": "x", "variables": "x real"}, "variables", "a variable is declared as in"),
        ({"f": "x", "variables": "x: imaginary(n)"}, "variables", "is no set that is known"),
        ({"f": "x", "variables": "x: real; x: real(n)"}, "variables", "x is declared twice"),
        ({"f": "x'*x", "wrt": "x", "claim": "2*x'"}, "claim", "1×n"),
        ({"f": "x'*x", "wrt": "x", "claim": "2*"}, "claim", "the formula ends where"),
        ({"f": "x" * 4001}, "f", "4000 characters"),
        ({"f": "(" * 3000}, "f", "deep"),
        ({"f": "+".join("x" * 1900)}, "f", "nests more than"),
        ({"f": "x**99999999"}, "f", "exponent"),
        ({"f": "__import__('os').system('true')"}, "f", ""),
        ({"f": "\x00\u202e"}, "f", ""),
    ],
)
def test_what_cannot_be_read_is_said_beside_it(site: Site, boxes: dict[str, str], place: str, words: str) -> None:
    """In a sentence at the box that it is about, at once, while somebody types and on checking."""
    started = time.monotonic()
    for parts in (site.echo(**boxes), site.check(**boxes)):
        assert 'class="trouble"' in parts[place]
        assert words in parts[place]
    assert time.monotonic() - started < 3


def test_a_name_comes_back_escaped(site: Site) -> None:
    """In every piece, whatever it is about."""
    attack = '<img src=x onerror="alert(1)">'
    for box in ("f", "wrt", "claim", "variables", "kind", "spelling"):
        boxes = {"f": "x'*A*x", "wrt": "x", "claim": "2*A*x", box: attack}
        status, page, _ = site.send("POST", "/", boxes)
        assert status == 200
        assert "<img" not in page + "".join(site.check(**boxes).values()) + "".join(site.echo(**boxes).values())


@pytest.mark.parametrize("kind", [*KINDS, "nonsense"])
def test_every_kind_is_derived(site: Site, kind: str) -> None:
    """A choice that there is not, is none."""
    f = "A*sin(x)" if kind == "jacobian" else "x'*A*x"
    assert "Derived and proved" in site.check(f=f, wrt="x", kind=kind, spelling="matlab")["result"]


def test_a_spelling_settles_what_a_star_is(site: Site) -> None:
    assert "say which" in site.echo(f="sum(A*B)", variables="A: real(n, n); B: real(n, n)")["f"]
    for spelling, tex in {"numpy": r"A \odot B", "matlab": "A B"}.items():
        assert tex in site.echo(f="sum(A*B)", variables="A: real(n, n); B: real(n, n)", spelling=spelling)["f"]


@pytest.mark.slow
def test_a_derivative_that_takes_too_long() -> None:
    """Matrices of thousands of rows are asked for; others are answered meanwhile."""
    with served(seconds={"read": 3.0, "check": 3.0}) as impatient, ThreadPoolExecutor(1) as threads:
        hanging = threads.submit(impatient.check, f="log(det(K))", wrt="K", variables="K: spd(3000)")
        assert "Derived and proved" in impatient.check(f="x'*x", wrt="x")["result"]
        assert "stopped" in hanging.result()["result"]


def test_a_fault_of_ours_is_called_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody expected ends in a sentence too."""
    from matcalc.serve import answers

    for error, words in [(KeyError("n"), "its own fault: KeyError"), (RecursionError(), "memory or deeper nesting")]:
        monkeypatch.setattr(answers, "result", lambda *_, error=error: (_ for _ in ()).throw(error))
        assert words in answers.checked(Asked("x", "x"))["result"]
