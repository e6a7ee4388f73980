"""The server: one page, the two requests its script makes, and what may not be asked of it."""

from __future__ import annotations

import socket
import threading
import webbrowser
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qsl

import uvicorn
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from matcalc import report
from matcalc.report.templating import environment
from matcalc.serve.answers import TOO_MUCH, Parts, checked, read, stopped
from matcalc.serve.boxes import EXAMPLES, KINDS, LONGEST, SPELLINGS, Asked, example
from matcalc.serve.workers import BrokenError, BusyError, TooLongError, Workers

PORT = 8000
"Where the page is unless another port is asked for, or this one is taken."
LARGEST_BODY = 20_000
"Bytes of a request."
SECONDS = MappingProxyType({"read": 3.0, "check": 10.0})
"How long a text may be read, and a claim be judged."
WORKERS = MappingProxyType({"read": 1, "check": 2})
"Processes for each."
WAITING = 8
"Requests that may wait for a process."
FIRST = Asked("sum(exp(A*x))", "x", "A'*exp(x)", "A: real(m, n)\nx: real(n)", spelling="matlab")
"What a process is asked before anybody asks it: a wrong claim, which takes all there is."

Answer = Callable[[Asked], Parts]
ANSWERS: Mapping[str, Answer] = MappingProxyType({"read": read, "check": checked})
_ASSETS = Path(report.__file__).parent / "assets"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # with `no-referrer` a browser would call the page's own requests strangers'
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class ServeError(Exception):
    """The page cannot be served; the message is one sentence."""


class _RefusedError(Exception):
    """A request that is not answered: its status, and one sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def run(port: int | None = None, *, open_browser: bool = True, announce: Callable[[str], object] = str) -> None:
    """Serves the page on 127.0.0.1 until Ctrl-C; `announce` is called with its address as soon as it can be opened.

    Without a port it is PORT, or a free one if that is taken; 0 is any free one. Raises ServeError for a port that cannot be had.
    """
    with _listening(port) as listener:
        taken = listener.getsockname()[1]
        address = f"http://127.0.0.1:{taken}/"

        def ready() -> None:
            announce(address)
            if open_browser:
                threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()  # a browser in a terminal returns late

        app = application(taken, ready=ready)
        settings = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, proxy_headers=False, ws="none", lifespan="on",
            limit_concurrency=64, timeout_graceful_shutdown=5,
        )  # fmt: skip
        with suppress(KeyboardInterrupt):
            _Server(settings, app.state.end).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Ends the processes before it waits for its last requests, which then have nothing more to wait for."""

    def __init__(self, config: uvicorn.Config, end: Callable[[], None]) -> None:
        super().__init__(config)
        self.end = end

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.end()
        await super().shutdown(sockets)


def _listening(port: int | None) -> socket.socket:
    if port is None:
        try:
            return _listening(PORT)
        except ServeError:
            return _listening(0)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise ServeError(f"port {port} of 127.0.0.1 cannot be had: {reason}") from error
    return listener


def application(
    port: int,
    *,
    ready: Callable[[], None] = lambda: None,
    answers: Mapping[str, Answer] = ANSWERS,
    seconds: Mapping[str, float] = SECONDS,
) -> Starlette:
    """The page as an application for a server that listens on this port; its processes end with its lifespan, or by `state.end()`."""
    site = _Site(ready, answers, seconds)
    app = Starlette(
        routes=[
            Route("/", site.page, methods=["GET", "POST"]),
            Route("/echo", site.echo, methods=["POST"]),
            Route("/check", site.check, methods=["POST"]),
            Mount("/assets", StaticFiles(directory=_ASSETS)),
        ],
        middleware=[Middleware(_Guard, port=port)],
        exception_handlers={_RefusedError: _refused},
        lifespan=site.lifespan,
    )
    app.state.end = site.end
    return app


@dataclass
class _Site:
    """The routes, and the processes behind them."""

    ready: Callable[[], None]
    answers: Mapping[str, Answer]
    seconds: Mapping[str, float]
    workers: dict[str, Workers] = field(default_factory=dict[str, Workers])

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncGenerator[None, None]:
        del app
        try:
            for kind, answer in self.answers.items():
                self.workers[kind] = Workers(answer, count=WORKERS[kind], waiting=WAITING, first=FIRST)
            self.ready()
            yield
        finally:
            self.end()

    def end(self) -> None:
        """Kills the processes; whoever waits for one is told at once."""
        for pool in self.workers.values():
            pool.close()

    async def page(self, request: Request) -> Response:
        """The page: empty, with an example, or, for a browser without script, with the answer to its form."""
        if request.method == "POST":
            asked = await _asked(request)
        elif chosen := example(request.query_params.get("example", "")):
            asked = chosen.asked
        else:
            return HTMLResponse(_page(Asked(), {}))
        return HTMLResponse(_page(asked, await self.answered("check", asked)))

    async def echo(self, request: Request) -> Response:
        """How the boxes are read."""
        return JSONResponse(await self.answered("read", await _asked(request)))

    async def check(self, request: Request) -> Response:
        """How the boxes are read, and the verdict or the derivative."""
        return JSONResponse(await self.answered("check", await _asked(request)))

    async def answered(self, kind: str, asked: Asked) -> Parts:
        """The pieces of the page, or a sentence in place of the result."""
        try:
            return await run_in_threadpool(self.workers[kind].ask, asked, self.seconds[kind])
        except TooLongError:
            return stopped(f"This took longer than {self.seconds[kind]:g} s, so it was stopped.")
        except BrokenError:
            return stopped(TOO_MUCH)
        except BusyError:
            raise _RefusedError(503, "Too many claims are being judged at once; try again in a few seconds.") from None


class _Guard:
    """Turns away requests that name another host, or that come from another site's page, and says what a browser may do with answers.

    A name that somebody else lets point to 127.0.0.1 would otherwise make this server part of that somebody's site.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self.app = app
        self.hosts = [f"127.0.0.1:{port}", f"localhost:{port}"] + ["127.0.0.1", "localhost"] * (port == 80)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = MutableHeaders(scope=message)
                own.update(_HEADERS)
                own["Cache-Control"] = "no-cache" if scope["path"].startswith("/assets/") else "no-store"
            await send(message)

        headers = Headers(scope=scope)
        hosts, origin = headers.getlist("host"), headers.get("origin")
        app = self.app
        if [host.lower() for host in hosts] not in [[each] for each in self.hosts]:
            app = PlainTextResponse(f"This server answers for {self.hosts[0]} alone.\n", 421)
        elif origin is not None and origin.lower() not in {f"http://{each}" for each in self.hosts}:
            app = PlainTextResponse("This server answers its own page alone.\n", 403)
        await app(scope, receive, send_with_headers)


async def _refused(request: Request, error: Exception) -> Response:
    del request
    return PlainTextResponse(f"{error}\n", status_code=getattr(error, "status", 500))


async def _asked(request: Request) -> Asked:
    """What the boxes hold; raises _RefusedError for a request that is no form, or too large."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise _RefusedError(415, "The boxes must come as application/x-www-form-urlencoded.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise _RefusedError(413, f"This is too long: all boxes together may have {LARGEST_BODY} bytes.")
    try:
        given = dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=20))
    except ValueError:
        raise _RefusedError(400, "The boxes are not a form in UTF-8.") from None
    return Asked.of(given)


def _page(asked: Asked, parts: Parts) -> str:
    """The page with these boxes and what is said of them."""
    places = defaultdict(Markup, {place: Markup(text) for place, text in parts.items()})  # noqa: S704  (made by our own templates)
    template = environment().get_template("serve.html.jinja")
    return template.render(asked=asked, parts=places, examples=EXAMPLES, kinds=KINDS, spellings=SPELLINGS, longest=LONGEST)
