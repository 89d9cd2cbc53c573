"""One account for all who spend: never exceeded and never lost, also when a holder dies."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from potstill.engine.processes import Process
from potstill.errors import PotstillError
from potstill.teachers.openai import account as accounts
from potstill.teachers.openai.account import Account, Books, Holder

LIMIT = 1000
MOST = (LIMIT, None)
ELSEWHERE = Process(7, "another-boot:pid:[1]:99")
"""A process of another machine, or of another container."""


def test_what_is_set_aside_counts_for_everyone(tmp_path: Path) -> None:
    one, two = Account(tmp_path / "a"), Account(tmp_path / "a")
    assert one.hold((600, 0.5), MOST)
    assert not two.hold((500, 0.5), MOST)
    assert two.hold((400, 0.5), MOST)
    one.settle((600, 0.5), (100, 0.1))
    assert two.spent() == one.spent() == (100, 0.1)
    assert two.hold((500, 0.5), MOST)
    assert not two.hold((1, 0.0), MOST)
    assert not two.hold((0, 1.0), (None, 1.05))


def test_an_account_without_a_file_is_its_own(tmp_path: Path) -> None:
    one = Account()
    assert one.hold((LIMIT, 0.0), MOST)
    assert not one.hold((1, 0.0), MOST)
    one.settle((LIMIT, 0.0), (10, 0.0))
    assert one.spent() == (10, 0.0)
    assert Account().spent() == (0, 0.0)


SPENDER = """
import random, sys
from pathlib import Path
from potstill.teachers.openai.account import Account
path, seed, limit = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
draw, account = random.Random(seed), Account(path)
flying = []
for _ in range(300):
    amount = draw.randrange(1, 40)
    if account.hold((amount, amount / 1e3), (limit, None)):
        flying.append(amount)
    account.set_aside()
    if flying and draw.random() < 0.6:
        amount = flying.pop(draw.randrange(len(flying)))
        account.settle((amount, amount / 1e3), (draw.randrange(amount + 1), 0.0))
for amount in flying:
    account.settle((amount, amount / 1e3), (amount, 0.0))
"""


def test_processes_and_threads_together_never_pass_the_limit(tmp_path: Path) -> None:
    path, over, ended = tmp_path / "account", [], threading.Event()
    command = [sys.executable, "-c", SPENDER, str(path)]
    processes = [subprocess.Popen([*command, str(seed), str(LIMIT)], env=dict(os.environ)) for seed in range(2)]

    def spend(seed: int) -> None:
        draw, mine = random.Random(seed), Account(path)
        while not ended.is_set():
            amount = draw.randrange(1, 40)
            if mine.hold((amount, 0.0), MOST):
                mine.settle((amount, 0.0), (draw.randrange(2), 0.0))

    def watch() -> None:
        mine = Account(path)
        while not ended.is_set():
            with mine._opened() as books:
                total = books.spent[0] + books.set_aside[0]
            if total > LIMIT:
                over.append(total)

    threads = [threading.Thread(target=spend, args=(seed,)) for seed in (10, 11)] + [threading.Thread(target=watch)]
    for thread in threads:
        thread.start()
    assert [process.wait() for process in processes] == [0, 0]
    ended.set()
    for thread in threads:
        thread.join()
    assert not over
    assert 0 < Account(path).spent()[0] <= LIMIT
    assert Account(path).set_aside() == (0, 0.0)


def test_what_a_dead_process_had_in_flight_counts_as_spent(tmp_path: Path) -> None:
    path = tmp_path / "account"
    code = "import os, sys; from pathlib import Path; from potstill.teachers.openai.account import Account\n"
    code += "Account(Path(sys.argv[1])).hold((300, 0.25), (1000, None)); os._exit(9)"
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    account = Account(path)
    assert account.spent() == (300, 0.25)
    assert account.set_aside() == (0, 0.0)
    assert not account.hold((701, 0.0), MOST)


def test_a_holder_on_another_machine_is_believed_until_it_is_silent_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "account"
    far = Account(path, replace(Holder.new(), process=ELSEWHERE))
    assert far.hold((900, 0.0), MOST)
    assert Account(path).set_aside() == (900, 0.0)
    monkeypatch.setattr(accounts, "LOST_SECONDS", 0.01)
    time.sleep(0.05)
    assert Account(path).spent() == (900, 0.0)
    far.settle((900, 0.0), (100, 0.0))
    assert far.spent() == (1000, 0.0), "should it live after all, it has been counted twice rather than not"
    assert far.set_aside() == (0, 0.0)


def test_an_account_that_is_deleted_in_use_is_not_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "services" / "account"
    account = Account(path)
    account.hold((100, 0.0), MOST)
    account.settle((100, 0.0), (70, 0.0))
    account.hold((200, 0.0), MOST)
    path.unlink()
    path.parent.rmdir()
    assert not account.hold((LIMIT - 269, 0.0), MOST)
    account.settle((200, 0.0), (10, 0.0))
    assert Account(path).spent() == (80, 0.0)


def test_a_damaged_account_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "account"
    Account(path).settle((0, 0.0), (70, 0.0))
    data = path.read_bytes()
    for place in range(len(data.strip())):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(PotstillError, match="is damaged"):
            Account(path).spent()


def test_what_is_left_of_a_longer_line_is_not_read(tmp_path: Path) -> None:
    books = Books(spent=(3, 0.5))
    assert Books.parse(books.text() + '0, "x": [') == books
