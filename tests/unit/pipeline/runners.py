"""Jobs for the tests of the worker: named by the spec, run in the worker's process."""

import os
import signal
import subprocess
import sys
import time

from pipeline.errors import ModelError
from pipeline.records import Progress


def run(spec, store, report):
    return globals()[spec["do"]](spec, store, report)


class Counting:
    """Counts its jobs."""

    def __init__(self):
        self.count = 0

    def __call__(self, spec, store, report):
        self.count += 1
        return {"count": self.count}


def answer(spec, store, report):
    report(Progress("maps", 1, 1))
    return {"n": spec.get("n"), "pid": os.getpid()}


def refuse(spec, store, report):
    raise ModelError("no such model; known are a and b")


def stumble(spec, store, report):
    raise ZeroDivisionError("private words")


def not_json(spec, store, report):
    return {"n": object()}


def die(spec, store, report):
    os.kill(os.getpid(), signal.SIGKILL)


def die_with_child(spec, store, report):
    start_child(store)
    os.kill(os.getpid(), signal.SIGKILL)


def leave(spec, store, report):
    os._exit(3)


def work(spec, store, report):
    for done in range(10_000):
        report(Progress("maps", done, 10_000))
        time.sleep(0.001)


def stubborn(spec, store, report):
    (store.root / "begun").touch()
    while True:
        try:
            time.sleep(60)
        except BaseException:
            (store.root / "told").touch()


def ignore(spec, store, report):
    start_child(store)
    time.sleep(60)


def guarded(spec, store, report):
    """Turn whatever native code may raise into a message, as loading a model does."""
    (store.root / "begun").touch()
    try:
        time.sleep(60)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise ModelError("could not be loaded") from error


def start_child(store):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (store.root / "new").write_text(str(child.pid))
    (store.root / "new").rename(store.root / "child")


def unfinished(spec, store, report):
    with store.new_array((10,), "f4") as writer:
        (store.root / "begun").touch()
        time.sleep(60)
        writer.publish()
