"""An inlet in memory, behind `Transport`: it accepts every message, but for what its script says."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from aep.errors import NetworkError
from aep.http.transport import Reply, Request

INLET = "http://aep.test/collection/inlet"
BATCH_URL = "http://aep.test/collection/batch/inlet"


class Clock:
    """A clock that moves when somebody waits, and by a millisecond each time it is read."""

    def __init__(self) -> None:
        self.now = 5_000.0
        self.waits: list[float] = []
        self.stop_after: int | None = None

    def __call__(self) -> float:
        self.now += 0.001
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        return self.stop_after is not None and len(self.waits) > self.stop_after


@dataclass(frozen=True)
class Step:
    """What becomes of one request.

    Attributes:
        status: Status of the reply.
        statuses: Statuses of the elements of a 207, by the message's number; others are 200. Makes the reply a 207.
        error: Raised instead of a reply.
        body: Body of the reply, instead of what fits.
        headers: Headers of the reply.
        stored: Whether the messages were stored although the reply does not say so.
    """

    status: int = 207
    statuses: Mapping[int, int] = field(default_factory=dict)
    error: NetworkError | None = None
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    stored: bool = False


ACCEPT = Step()
Rule = Callable[[list[int], Request], Step | None]


def record(number: int) -> bytes:
    return orjson.dumps({"n": number})


class FakeAep:
    """Answers requests with the steps of a script, one after another, and then as `rule` says, by default with yes.

    Attributes:
        sent: The numbers in each request.
        requests: The requests.
        told_accepted: Numbers that a reply has called accepted.
        told_rejected: Numbers that an element of a reply has called refused for good.
        sent_after_accepted: Numbers that came again after that.
        stored: How often each number was stored.
        arrivals: The numbers in the order in which they were stored.
        stored_by: The last request that each number was stored by, counted from 1.
    """

    def __init__(self, script: Iterable[Step] = (), rule: Rule = lambda numbers, request: None) -> None:
        self._script = list(script)
        self._rule = rule
        self._lock = threading.RLock()  # a rule may let another batch pass meanwhile
        self.sent: list[list[int]] = []
        self.requests: list[Request] = []
        self.told_accepted: set[int] = set()
        self.told_rejected: set[int] = set()
        self.sent_after_accepted: set[int] = set()
        self.stored: Counter[int] = Counter()
        self.arrivals: list[int] = []
        self.stored_by: dict[int, int] = {}

    def send(self, request: Request) -> Reply:
        """Return one POST."""
        with self._lock:
            single = request.url == INLET
            assert single or request.url == BATCH_URL
            content = orjson.loads(request.body)
            numbers = [message["n"] for message in ([content] if single else content["messages"])]
            assert numbers
            self.sent.append(numbers)
            self.requests.append(request)
            self.sent_after_accepted |= self.told_accepted & set(numbers)
            step = self._script.pop(0) if self._script else self._rule(numbers, request) or ACCEPT
            return self._answer(numbers, single, step)

    def _answer(self, numbers: list[int], single: bool, step: Step) -> Reply:
        received_by_status = single and step.error is None and step.body is None and 200 <= step.status < 300
        if step.stored and not received_by_status:
            self._store(numbers)
        if step.error is not None:
            raise step.error
        if step.body is not None or step.status != 207:
            self._accept(numbers if received_by_status else [])
            receipt = b'{"xactionId":"1:2:3"}' if received_by_status else b""
            return Reply(step.status, step.body or receipt, step.headers)
        statuses = {number: step.statuses.get(number, 200) for number in numbers}
        good = [number for number, status in statuses.items() if status == 200]
        if single:
            status = statuses[numbers[0]]
            self._accept(good)
            return Reply(status, orjson.dumps({"xactionId": "1:2:3", "report": {"message": "no"}}), step.headers)
        self.told_rejected |= {n for n, status in statuses.items() if 400 <= status < 500 and status not in (408, 429)}
        self._accept(good)
        return Reply(207, multi_status(list(statuses.values())), step.headers)

    def _accept(self, numbers: Sequence[int]) -> None:
        self._store(numbers)
        self.told_accepted |= set(numbers)

    def _store(self, numbers: Sequence[int]) -> None:
        self.stored.update(numbers)
        self.arrivals += numbers
        self.stored_by.update(dict.fromkeys(numbers, len(self.sent)))


def multi_status(statuses: Sequence[int]) -> bytes:
    """Return the body of a 207 whose elements have these statuses."""
    responses = [
        {"xactionId": f"u-{place}"} if status == 200 else {"xactionId": f"u-{place}", "status": status, "message": "no"}
        for place, status in enumerate(statuses)
    ]
    return orjson.dumps({"inletId": "inlet", "responses": responses})
