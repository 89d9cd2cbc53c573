"""How many requests a server is given adapts to what it takes."""

from __future__ import annotations

from potstill.teachers.openai.aimd_window import Window


def test_the_window_is_halved_once_a_burst_and_grows_by_one_a_round() -> None:
    window = Window(16)
    sent = [window.send() for _ in range(16)]
    assert not window.has_room
    for number in sent:
        window.refused(number)
        window.come_back()
    assert window.limit == 8
    window.refused(window.send())
    assert window.limit == 4
    for expected in (4, 4, 4, 5, 5, 5, 5, 5, 6):
        window.answered()
        assert window.limit == expected
    for _ in range(9):
        window.refused(window.send())
    assert (window.limit, window.least) == (1, 1)
    for _ in range(1000):
        window.answered()
    assert window.limit == 16
