"""Units whose worker is killed in mid-unit, in a module that worker processes can import."""

import os
import signal
import threading
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

PATIENCE = 60.0


def square(number):
    return number * number


def pid(_):
    return os.getpid()


def fail_at_seven(number):
    if number == 7:
        raise LookupError("seven")
    return number


def fail_at_777(number):
    if number == 777:
        raise LookupError
    return number


def kill_at_seven(number):
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def sleep_long(folder):
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(PATIENCE)


def begin_to_send(folder):
    """Return a result of which only half is sent; the process says so, and waits for its death."""
    from multiprocessing.connection import Connection

    send = Connection._send

    def half(self, data, *args):
        if len(data) < 1 << 20:
            return send(self, data, *args)
        send(self, data[: len(data) // 2], *args)
        return sleep_long(folder)

    if not list(Path(folder).iterdir()):  # the one after it does what it should
        Connection._send = half
    return bytes(1 << 21)


def signalled(folder, after, call):
    """Run a call; the first one after some others waits for the death of its process before."""
    with (folder / "calls").open("ab") as calls:
        calls.write(b"." * len(call.args[1]))  # units that travel together
    if (folder / "calls").stat().st_size > after:
        try:
            with (folder / "victim.part").open("x") as victim:
                victim.write(str(os.getpid()))
        except FileExistsError:
            pass
        else:
            (folder / "victim.part").rename(folder / "victim")
            (folder / "victim.part").touch()
            time.sleep(PATIENCE)
            raise AssertionError("nobody killed this process")
    return call()


@contextmanager
def a_worker_killed_in_mid_unit(pool, folder, after=4):
    """Kill the process that runs one of the units handed to a pool, while it is at it."""
    submit = pool.submit
    pool.submit = lambda call: submit(partial(signalled, folder, after, call))
    killed = []

    def kill():
        victim = folder / "victim"
        deadline = time.monotonic() + PATIENCE
        while not victim.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        number = int(victim.read_text())
        os.kill(number, signal.SIGKILL)
        killed.append(number)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        thread.join()
        del pool.submit


def begun(folder):
    """How many units were begun; those that were lost count twice."""
    return (folder / "calls").stat().st_size
