"""Everything on this machine, in the background: local AWS, API, consumers, watcher, the lake's keeper, restaurants."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from consumers.specs import CONSUMERS, readers
from events import accept_within
from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from foundation.settings import variable
from takeaway.errors import UserError
from takeaway.local import (
    DEFAULT_AWS_PORT,
    LOCAL_AWS,
    Backend,
    Running,
    Service,
    last_words,
    load_services,
    require_free,
    save_environ,
    save_services,
    start_process,
    stop_processes,
    without_secrets,
)
from takeaway.stack import deployment
from takeaway.stack.environment import HOME, resolved, signing
from takeaway.terminal import private_folder, write

if TYPE_CHECKING:
    from producers.orders import Role

API, RESTAURANTS, LOAD, KEEPER, WATCHER = "api", "restaurants", "load", "keeper", "watcher"
_WITH_TOKENS = {API, RESTAURANTS, LOAD}
DEFAULT_API_PORT = 8080
DEFAULT_SPEED = 60.0
# Which restaurants `up` simulates: all, none, or all but those whose page a person has open.
SIMULATED, NONE, OTHERS = "simulated", "none", "others"
STOP_GRACE_SECONDS = 30.0
# A consumer drains, commits what waits for a file and hands its leases back; all of them at once.
CONSUMERS_GRACE_SECONDS = max(spec.stops_within for spec in CONSUMERS.values()).total_seconds()
API_START_SECONDS = 30.0
LAKE_FILE_AGE = "10"


@dataclass
class Stack:
    """What `up` and `demo` start: running processes, and the variables that all of them share.

    What a `following` stack started dies with this process; else it outlives it, for `down` to find.
    """

    home: Path
    following: bool
    environ: dict[str, str] = field(default_factory=dict)
    running: list[Running] = field(default_factory=list)

    @property
    def api(self) -> str:
        """Where the API of this stack listens, or would."""
        saved = self.home / "api_port"
        return api_url(int(saved.read_text()) if saved.exists() else DEFAULT_API_PORT)

    def runs(self, name: str) -> bool:
        return any(one.name == name for one in self.running)

    def start_local_aws(self, backend: Backend, port: int) -> None:
        running, reached = backend.start(port, self.home / "logs", following=self.following)
        self._started(running)
        save_environ(self.home, reached)
        write(self.home / "backend", backend.name)
        self._put_old_ledger_aside()
        self.environ = {**without_secrets(), **reached}

    def deploy(self) -> None:
        self.environ |= deployment.deploy(self.environ)

    def start(self, name: str, *arguments: str) -> Running:
        service = Service(name, "takeaway.cli", arguments, self.following)
        # guarantee: no process is given the key of the tokens that makes and reads none
        environ = signing(self.environ, self.home, make_key=True) if name in _WITH_TOKENS else self.environ
        running = start_process(service, environ=environ, logs=self.home / "logs")
        self._started(running)
        return running

    def end(self, name: str) -> None:
        """Ends this one, if it runs."""
        stop_processes([one for one in self.running if one.name == name], grace=STOP_GRACE_SECONDS)
        self.running = [one for one in self.running if one.name != name]

    def stop(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """In the order of the flow: what makes events first, the local AWS last, so that nobody loses its world.

        `tell` is told what is being stopped, how many are left, and how long that may take. A `KeyboardInterrupt` ends
        all of them at once, and goes on.
        """
        try:
            self._stop_in_order(tell)
        except KeyboardInterrupt:
            stop_processes(self.running, grace=0)
            self._forget()
            raise
        self._forget()

    def _stop_in_order(self, tell: Callable[[str], None]) -> None:
        left = len(self.running)
        before_consumers = [one for one in self.running if one.name not in (*CONSUMERS, API, LOCAL_AWS)]
        for some, grace in (
            (before_consumers, STOP_GRACE_SECONDS),
            ([one for one in self.running if one.name == API], STOP_GRACE_SECONDS),
            ([one for one in self.running if one.name in CONSUMERS], CONSUMERS_GRACE_SECONDS),
            ([one for one in self.running if one.name == LOCAL_AWS], STOP_GRACE_SECONDS),
        ):
            if some:
                tell(
                    f"{', '.join(one.name for one in some)}, {grace:.0f} s at most; {left} of {len(self.running)} left"
                )
            stop_processes(some, grace=grace)
            left -= len(some)
        # One that ended by itself is not among them, but may have left something behind.
        stop_processes(load_services(self.home / "services.json"), grace=0)

    def _forget(self) -> None:
        self.running = []
        (self.home / "services.json").unlink(missing_ok=True)
        for name in ("endpoint", "access_key", "backend", "api_port", "speed", "restaurants"):
            (self.home / name).unlink(missing_ok=True)

    def _put_old_ledger_aside(self) -> None:
        """A new local AWS has forgotten what the ledger of the one before promises."""
        ledger = self.home / "ledger"
        if ledger.exists():
            written = datetime.fromtimestamp(ledger.stat().st_mtime, UTC)
            ledger.rename(self.home / f"ledger-{written:%Y%m%d-%H%M%S-%f}")

    def _started(self, running: Running) -> None:
        self.running.append(running)
        save_services(self.home / "services.json", self.running)


def up(
    home: Path,
    *,
    backend: Backend,
    aws_port: int | None = None,
    api_port: int | None = None,
    aws_only: bool = False,
    speed: float | None = None,
    tell: Callable[[str], None] = lambda _: None,
    restaurants: str | None = None,
) -> Stack:
    """Starts what is not up yet, and answers when the API answers; `tell` is told what that is.

    What is up stays as it is: a port or a speed that it does not have is a `UserError`, and so are other restaurants;
    None takes what is there. Where nothing was up and it fails, it ends what it has started.
    """
    stack = existing(home)
    if stack.running and not stack.runs(LOCAL_AWS):
        # Nothing can go on without the AWS it worked on.
        stack.stop()
    fresh = not stack.running
    if not fresh:
        _require_same(backend, (home / "backend").read_text())
        _require_as_it_is(stack, aws_port, api_port, speed)
        _require_same_restaurants(home, restaurants)
    aws_port, api_port, speed = aws_port or DEFAULT_AWS_PORT, api_port or DEFAULT_API_PORT, speed or _speed(home)
    if fresh and not aws_only and aws_port == api_port:
        raise UserError(
            f"the local AWS and the API cannot share port {api_port}",
            f"choose another one with {variable('aws_port')} or {variable('api_port')}",
        )
    private_folder(home)
    try:
        if fresh:
            require_free(aws_port, variable("aws_port"))
            tell(f"the local AWS ({backend.name}), {backend.start_seconds:.0f} s at most")
            stack.start_local_aws(backend, aws_port)
            tell("the stack's resources on it")
            stack.deploy()
        else:
            stack.environ = resolved(home)
        # Who looks around wants to see an order in the lake soon; a lake wants bigger files.
        stack.environ.setdefault(variable("lake_file_age"), LAKE_FILE_AGE)
        restaurants = restaurants or _restaurants(home)
        # Where a person may run a restaurant, all have a person's time for an answer.
        stack.environ = at_speed(speed if restaurants == SIMULATED else 1, backend.name) | stack.environ
        if not aws_only:
            known_as = stack.api
            start_flow(stack, api_port, tell)
            if stack.api != known_as:
                # They would go on calling an API that is not there.
                stack.end(RESTAURANTS)
            write(home / "restaurants", restaurants)
            if restaurants != NONE and not stack.runs(RESTAURANTS):
                only = ["--others"] if restaurants == OTHERS else []
                stack.start(RESTAURANTS, "restaurants", "--api", stack.api, "--speed", str(speed), *only)
                write(home / "speed", f"{speed:g}")
    except BaseException:
        if fresh:
            stack.stop(lambda told: tell(f"ending {told}"))
        raise
    return stack


def start_flow(stack: Stack, api_port: int, tell: Callable[[str], None] = lambda _: None) -> None:
    """The API, every consumer, the deadline watcher and the lake's keeper, each a process of its own, if it is not up.

    Returns when the API answers.
    """
    if not stack.runs(API):
        require_free(api_port, variable("api_port"))
        stack.start(API, "serve", "--port", str(api_port))
        write(stack.home / "api_port", str(api_port))
    for consumer in readers():
        if not stack.runs(consumer):
            stack.start(consumer, "work", consumer)
    if not stack.runs(WATCHER):
        stack.start(WATCHER, "watch")
    if not stack.runs(KEEPER):
        stack.start(KEEPER, "lake", "keep")
    wait = uninterrupted_wait()
    deadline = SYSTEM_CLOCK.monotonic() + API_START_SECONDS
    tell(f"{len(stack.running)} processes are there; the API is to answer within {API_START_SECONDS:.0f} s")
    while not answers(stack.api):
        require_alive(stack.running)
        if SYSTEM_CLOCK.monotonic() > deadline:
            raise UserError(f"the API did not answer at {stack.api}", f"read {stack.home / 'logs' / 'api.log'}")
        wait(0.1)
    require_alive(stack.running)


_EMBEDDED = "embedded"
# LocalStack takes seconds where the embedded AWS takes a tenth of one.
_SHORTEST_ON_LOCALSTACK = 60


def answer_within(speed: float, backend: str = _EMBEDDED) -> timedelta:
    """How long an order is to wait for its answer where simulated restaurants are so fast, in whole seconds."""
    shortest = 0 if backend == _EMBEDDED else _SHORTEST_ON_LOCALSTACK
    return timedelta(seconds=max(shortest, math.ceil(accept_within(speed).total_seconds())))


def at_speed(speed: float, backend: str = _EMBEDDED) -> dict[str, str]:
    """What processes are told where simulated restaurants are so fast, unless they are told otherwise."""
    return {
        variable("accept_within_seconds"): f"{answer_within(speed, backend).total_seconds():.0f}",
        variable("speed"): f"{speed:g}",
    }


def backend_that_is_up(home: Path) -> str:
    """The name of the back end that an earlier command started; of the usual one where none did."""
    told = home / "backend"
    return told.read_text() if told.exists() else _EMBEDDED


def _speed(home: Path) -> float:
    """That of the restaurants which are up, or the usual one."""
    told = home / "speed"
    return float(told.read_text()) if told.exists() else DEFAULT_SPEED


def _restaurants(home: Path) -> str:
    """Those that are up, or the usual ones."""
    told = home / "restaurants"
    return told.read_text() if told.exists() else SIMULATED


def _require_same_restaurants(home: Path, wanted: str | None) -> None:
    """The API was told how long an answer may take."""
    if wanted is not None and (home / "restaurants").exists() and wanted != _restaurants(home):
        there = _restaurants(home)
        raise UserError(
            f"the restaurants are up as {there}, not {wanted}", f"`takeaway down` first, or --restaurants {there}"
        )


def _require_same(backend: Backend, there: str) -> None:
    if there != backend.name:
        raise UserError(f"{there} is up, not {backend.name}", f"`takeaway down` first, or --backend {there}")


def _require_as_it_is(stack: Stack, aws_port: int | None, api_port: int | None, speed: float | None) -> None:
    endpoint, told_speed = (stack.home / "endpoint").read_text(), stack.home / "speed"
    asked = [("the local AWS", endpoint.rpartition(":")[2], aws_port, f"unset {variable('aws_port')}")]
    if stack.runs(API):
        asked.append(("the API", stack.api.rpartition(":")[2], api_port, f"unset {variable('api_port')}"))
    for who, there, wanted, otherwise in asked:
        if wanted is not None and str(wanted) != there:
            raise UserError(f"{who} is up on port {there}, not {wanted}", f"`takeaway down` first, or {otherwise}")
    if speed is not None and stack.runs(RESTAURANTS) and told_speed.exists():
        there = told_speed.read_text()
        if f"{speed:g}" != there:
            raise UserError(
                f"the restaurants are up at speed {there}, not {speed:g}", f"`takeaway down` first, or --speed {there}"
            )


def require_alive(running: Iterable[Running]) -> None:
    """Raises `UserError` with the last words of any process that ended by itself."""
    for one in running:
        if one.process() is None:
            raise UserError(f"{one.name} ended unexpectedly", f"read {one.log}:\n{last_words(one)}")


def existing(home: Path) -> Stack:
    """What an earlier command started and still runs."""
    running = [one for one in load_services(home / "services.json") if one.process()]
    return Stack(home, following=False, running=running)


def restaurants_of_up() -> str | None:
    """What `takeaway up` simulates: SIMULATED, OTHERS or NONE; None where it is not up, or they have ended."""
    stack = existing(HOME)
    which = _restaurants(HOME)
    return which if stack.runs(RESTAURANTS) or (which == NONE and stack.runs(API)) else None


def api_url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def first_order(api: str, token_key: str) -> str:
    """Commands that place an order and follow it, ready to paste; the token is good for a day."""
    body = (
        '{"restaurant_id": "restaurant-01", "customer_name": "You", "customer_email": "you@example.com", '
        '"city": "Utrecht", "currency": "EUR", "time_zone": "Europe/Amsterdam", '
        '"items": [{"sku": "margherita", "name": "Margherita", "quantity": 2, "unit_price": 950}]}'
    )
    return (
        f"TOKEN={token(token_key, 'customer-you', 'customer')}\n"
        f"PLACED=$(curl -s {api}/orders -H \"Authorization: Bearer $TOKEN\" -H 'Content-Type: application/json' \\\n"
        f"  -d '{body}')\n"
        'echo "$PLACED"\n'
        'ORDER=$(echo "$PLACED" | sed \'s/.*"order_id":"\\([^"]*\\)".*/\\1/\')\n'
        f'curl -s {api}/orders/$ORDER -H "Authorization: Bearer $TOKEN"'
    )


def token(token_key: str, subject: str, role: "Role") -> str:
    """A bearer token of the orders API, good for a day."""
    from producers.orders import TokenKey

    return TokenKey(token_key.encode()).sign(subject, role, SYSTEM_CLOCK.now() + timedelta(days=1))


def sign_in_link(api: str, token_key: str, subject: str, role: "Role") -> str:
    """The address that signs a browser in to the pages of this role: once, and for a quarter of an hour."""
    from producers.orders import TokenKey
    from producers.pages.frame import SignInKey, link_url

    return link_url(api, SignInKey(TokenKey(token_key.encode())).link(subject, role, SYSTEM_CLOCK.now()))


def answers(api: str) -> bool:
    """Whether the API is there, and can serve."""
    from takeaway.http import get

    try:
        return get(api, "/health", seconds=2).is_success
    except OSError:
        return False
