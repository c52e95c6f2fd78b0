"""Decodes pictures in a process of its own, with limits of memory and processor time.

A picture can be made so that decoding it takes a machine's memory or hours. One child decodes a
whole corpus; it is started again after a picture that ended it. `python -m pipeline.decoder` is the
child: it reads and writes frames on its standard streams, and opens no files.
"""

from __future__ import annotations

import resource
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from pipeline.errors import InputError
from pipeline.images import decode_image

MEMORY_BYTES = 2**30  # beyond what the child has before the first picture
CPU_S = 5

_LENGTH = struct.Struct("<Q")
_GOOD, _BAD = b"\0", b"\1"


class Decoder:
    """Decodes the pictures of one corpus; used in a `with` block, which ends the child.

    Parameters
    ----------
    memory_bytes : what decoding one picture may take.
    cpu_s : seconds of processor time for one picture.
    """

    def __init__(self, *, memory_bytes: int = MEMORY_BYTES, cpu_s: int = CPU_S) -> None:
        self._command = [sys.executable, "-m", __name__, str(memory_bytes), str(cpu_s)]
        self._limits = f"{memory_bytes / 2**20:,.0f} MB", f"{cpu_s} s"
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Decoder:
        """Return the decoder; its child starts with the first picture."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the child."""
        self._end()

    def decode(self, data: bytes, *, name: str) -> bytes:
        """Do what `images.decode_image` does, in the child.

        Raises
        ------
        InputError
            As there; also when the picture needs more memory or time than it may.
        """
        child = self._child or self._start()
        verdict, answer = b"", None
        if child.stdin is not None and child.stdout is not None:  # both are pipes
            try:
                for part in (name.encode("utf-8", "replace"), data):
                    _send(child.stdin, part)
                child.stdin.flush()
                verdict = child.stdout.read(1)
                answer = _receive(child.stdout) if verdict else None
            except BrokenPipeError:
                answer = None
        if answer is None:
            raise InputError(self._what_ended(name))
        if verdict == _BAD:
            raise InputError(answer.decode())
        return answer

    def _start(self) -> subprocess.Popen[bytes]:
        root = Path(__file__).parents[1]
        self._child = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, cwd=root,
        )  # fmt: skip
        return self._child

    def _what_ended(self, name: str) -> str:
        """End the child, and say what became of it."""
        status = self._end()
        memory, seconds = self._limits
        if status == -signal.SIGXCPU:
            return (
                f"image {name!r} takes more than {seconds} of processor time to decode; "
                "save it again as a plain PNG or JPEG"
            )
        return (
            f"image {name!r} cannot be decoded within {memory} of memory (the decoder ended with "
            f"status {status}); make it smaller first"
        )

    def _end(self) -> int | None:
        child, self._child = self._child, None
        if child is None:
            return None
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue
        try:
            return child.wait(timeout=2 * CPU_S)
        except subprocess.TimeoutExpired:
            child.kill()
            return child.wait()


def main(memory_bytes: int, cpu_s: int) -> None:
    """Decode what comes in until nothing does. Runs in the child."""
    held_bytes = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held_bytes + memory_bytes,) * 2)
    # A picture that ends the child leaves no core file.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    source, out = sys.stdin.buffer, sys.stdout.buffer
    hard_s = resource.getrlimit(resource.RLIMIT_CPU)[1]
    while (name := _receive(source)) is not None:
        data = _receive(source)
        if data is None:
            return
        # The kernel counts whole seconds.
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1 + cpu_s, hard_s))
        verdict, answer = _decoded(data, name.decode())
        out.write(verdict)
        _send(out, answer)
        out.flush()


def _decoded(data: bytes, name: str) -> tuple[bytes, bytes]:
    try:
        return _GOOD, decode_image(data, name=name)
    except InputError as error:
        return _BAD, str(error).encode("utf-8", "replace")
    except MemoryError:
        return _BAD, (
            f"image {name!r} needs more memory than a picture may take; make it smaller first"
        ).encode()


def _send(stream: IO[bytes], data: bytes) -> None:
    stream.write(_LENGTH.pack(len(data)))
    stream.write(data)


def _receive(stream: IO[bytes]) -> bytes | None:
    """Return the next frame, None where the other side has ended."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    data = stream.read(length)
    return data if len(data) == length else None


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
