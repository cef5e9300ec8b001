"""Serves the test double over HTTP on 127.0.0.1: DAP, REST and the control API."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread

from aiohttp import web

from testbed.canvas.control_api import ControlApi
from testbed.canvas.dap import CLIENT_ID, CLIENT_SECRET, DataAccessPlatform
from testbed.canvas.faults import Fault, Faults
from testbed.canvas.lake import Lake
from testbed.canvas.rest import TOKEN, RestApi
from testbed.canvas.school import School

_ADDRESS = "127.0.0.1"
_SECONDS_TO_STOP = 1.0


@dataclass(frozen=True)
class Credentials:
    """Credentials that the test double accepts."""

    client_id: str = CLIENT_ID
    client_secret: str = CLIENT_SECRET
    token: str = TOKEN


@dataclass(frozen=True)
class Recorded:
    """A request and the status of its answer, 0 where the connection was closed without one."""

    method: str
    path: str
    status: int

    @property
    def is_rest(self) -> bool:
        """Whether this was a request of the REST API."""
        return self.path.startswith("/api/")


class CanvasDouble:
    """Test double of Canvas. Its answers are derived from `school` and `lake`, and its errors from `faults`."""

    def __init__(self, school: School, lake: Lake) -> None:
        self.school = school
        self.lake = lake
        self.faults = Faults()
        self.credentials = Credentials()
        self.dap = DataAccessPlatform(school, lake, self.faults)
        self.rest = RestApi(school, self.faults)
        self.requests: list[Recorded] = []
        """All requests but those of the control API, in the order of their answers."""
        self.most_rest_requests_at_once = 0
        self.seconds_of_a_request = 0.002
        """Minimum latency, so that concurrent requests overlap."""
        self.url = ""
        self._rest_requests = 0

    def application(self) -> web.Application:
        """Build the application."""
        application = web.Application(middlewares=[self._handle], client_max_size=16 * 2**20)
        application.add_routes([*self.dap.routes(), *self.rest.routes()])
        application.add_routes(ControlApi(self.school, self.lake, self.faults).routes())
        return application

    @web.middleware
    async def _handle(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.path.startswith("/control/"):
            return await handler(request)
        is_rest = request.path.startswith("/api/")
        self._rest_requests += is_rest
        self.most_rest_requests_at_once = max(self.most_rest_requests_at_once, self._rest_requests)
        status = 500
        try:
            await asyncio.sleep(self.seconds_of_a_request)
            if self.faults.take(f"{request.method} {request.path_qs}", "disconnect"):
                assert request.transport is not None
                request.transport.close()
                status = 0
                return web.Response(status=503)
            answer = self._fault(request) or await handler(request)
            if is_rest:
                answer.headers.update(self.rest.headers())
            status = answer.status
            return answer
        finally:
            self._rest_requests -= is_rest
            self.requests.append(Recorded(request.method, request.path_qs, status))

    def _fault(self, request: web.Request) -> web.Response | None:
        fault = self.faults.take(f"{request.method} {request.path_qs}", "too many requests", "server error")
        if fault is not None:
            return _server_fault(fault)
        if request.path.startswith("/api/"):
            return self.rest.refuse(request)
        return None if request.path.startswith("/objects/") else self.dap.refuse(request)


def _server_fault(fault: Fault) -> web.Response:
    """Error answer of a gateway. The client of DAP needs JSON; that of REST ignores the body."""
    if fault.kind == "too many requests":
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        return web.json_response({"message": "Rate Limit Exceeded"}, status=429, headers=headers)
    return web.json_response({"message": "An error occurred."}, status=fault.status)


@contextmanager
def running_canvas(school: School, *, lake: Lake | None = None, port: int = 0) -> Iterator[CanvasDouble]:
    """Serve `school` in a thread, on 127.0.0.1 and by default on a free port. `lake` is by default loaded now.

    Raises:
        OSError: the port is in use.
    """
    double = CanvasDouble(school, lake or Lake(school))
    listening: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    thread = Thread(target=asyncio.run, args=(_serve(double, port, listening),), name="canvas-double", daemon=True)
    thread.start()
    loop, stop = listening.result()
    try:
        yield double
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


async def _serve(
    double: CanvasDouble, port: int, listening: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]
) -> None:
    runner = web.AppRunner(double.application(), access_log=None, shutdown_timeout=_SECONDS_TO_STOP)
    try:
        await runner.setup()
        await web.TCPSite(runner, _ADDRESS, port).start()
        double.url = f"http://{_ADDRESS}:{runner.addresses[0][1]}"
        stop = asyncio.Event()
        listening.set_result((asyncio.get_running_loop(), stop))
        await stop.wait()
    except Exception as error:
        if listening.done():
            raise
        listening.set_exception(error)
    finally:
        await runner.cleanup()
