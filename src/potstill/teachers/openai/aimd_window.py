"""How many requests a server is given at a time: additive increase, multiplicative decrease (Chiu and Jain 1989)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Window:
    """The requests that one server may have in flight: halved when it refuses some, one more after a round of answers.

    Chiu and Jain, "Analysis of the increase and decrease algorithms for congestion avoidance" (1989), section 3: of the
    linear controls, this one converges to a fair share from any start.
    """

    most: int
    """Never more than this; the window begins there."""
    limit: float = 0.0
    """Requests that may be in flight now."""
    in_flight: int = 0
    """Requests that are."""
    least: float = 0.0
    """The smallest that `limit` has been."""
    refusals: int = 0
    """How often the server had too much."""
    _sent: int = 0
    _answered: int = 0  # since the limit last changed
    _burst: int = 0  # requests numbered below were sent before the last halving

    def __post_init__(self) -> None:
        """Begin with all that is allowed."""
        self.limit = self.least = float(self.most)

    @property
    def has_room(self) -> bool:
        """Whether one more may be sent."""
        return self.in_flight < int(self.limit)

    @property
    def load(self) -> float:
        """In flight, as a share of what may be."""
        return self.in_flight / self.limit

    def send(self) -> int:
        """Note that a request leaves; return its number."""
        self.in_flight += 1
        self._sent += 1
        return self._sent - 1

    def come_back(self) -> None:
        """Note that a request is over, however it went."""
        self.in_flight -= 1

    def answered(self) -> None:
        """Note an answer: a whole round of them makes room for one more."""
        self._answered += 1
        if self._answered >= self.limit and self.limit < self.most:
            self.limit, self._answered = min(self.limit + 1, float(self.most)), 0

    def refused(self, number: int) -> None:
        """Note that the server had too much with request `number`; refusals of one burst halve the window once."""
        self.refusals += 1
        if number < self._burst:
            return
        self.limit = max(1.0, self.limit // 2)
        self.least = min(self.least, self.limit)
        self._answered, self._burst = 0, self._sent
