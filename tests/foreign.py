"""Foreign code that misbehaves, each function in one way. Some hold a FIFO open until the last of them ends."""

import contextlib
import gc
import os
import signal
import sys
import threading
import time


def hold(fifo):
    """Keep a FIFO open in this process and all below it, and say that it has begun."""
    file = os.open(fifo, os.O_WRONLY)
    os.set_inheritable(file, True)
    os.write(file, b"begun")


def behave(tell, *arguments):
    print("hello")
    tell(arguments=list(arguments))


def collect(tell):
    """Tell whether garbage is looked for, and how many objects it is looked for among."""
    tell(enabled=gc.isenabled(), objects=len(gc.get_objects()))


def loop(tell):
    tell(begun=True)
    while True:
        pass


def sleep(tell):
    tell(begun=True)
    time.sleep(10_000)


def leave(tell, status):
    os._exit(status)


def end(tell, number):
    os.kill(os.getpid(), number)
    time.sleep(10_000)


def raise_it(tell):
    raise ValueError("broken")


def tell_without_end(tell):
    while True:
        tell(again=True)


def print_without_end(tell):
    print("beginning")
    while True:
        print("flood" * 1000)


def fork_and_come_back(tell):
    os.fork()
    tell(once=True)


def leave_a_thread(tell):
    threading.Thread(target=time.sleep, args=(10_000,)).start()
    tell(done=True)


def eat(tell, gigabytes, wait=True):
    pieces = [b"x" * 10_000_000 for _ in range(int(gigabytes * 100))]
    tell(eaten=len(pieces))
    while wait:
        time.sleep(10_000)


def eat_in_children(tell):
    for _ in range(4):
        if os.fork() == 0:
            eat(dict, 0.06)  # a child that tells is ended
    time.sleep(10_000)


def share(tell, gigabytes):
    """Hold memory that six children share: it is there once."""
    kept = [b"x" * 10_000_000 for _ in range(int(gigabytes * 100))]
    reading, writing = os.pipe()
    for _ in range(6):
        if os.fork() == 0:
            os.close(writing)
            os.read(reading, 1)  # until the parent ends
            os._exit(len(kept) > 10**6)
    time.sleep(1)  # several looks at the memory
    tell(done=True)


def close_all(tell):
    os.closerange(0, 1000)
    tell(done=True)


def write_everywhere(tell):
    for file in range(3, 100):
        with contextlib.suppress(OSError):
            os.write(file, b'{"told": 1}\n\xff\x00 garbage\n')
    tell(done=True)


def write_a_line_without_end(tell):
    while True:
        for file in range(3, 100):
            with contextlib.suppress(OSError):
                os.write(file, b"garbage" * 1000)


def kill_parent(tell, fifo):
    daemon(tell, fifo, end=False)
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(10_000)


def fork(tell, fifo):
    hold(fifo)
    for _ in range(3):
        os.fork()
    stubborn()


def daemon(tell, fifo, end=True):
    """Fork twice, in sessions of their own, and leave."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
            hold(fifo)
            os.close(writing)
            stubborn()
        os._exit(0)
    os.close(writing)
    os.read(reading, 1)  # until it has begun
    if end:
        tell(done=True)


def daemon_and_loop(tell, fifo):
    ignore_signals()  # before it is told that it has begun
    daemon(tell, fifo, end=False)
    stubborn()


def hop(tell, fifo):
    """Fork without end, each child the parent of the next, and none stays."""
    hold(fifo)
    tell(done=True)
    while os.fork() == 0:
        pass
    os._exit(0)


def hop_away(tell, fifo):
    """The same, each in a session of its own."""
    hold(fifo)
    tell(done=True)
    while os.fork() == 0:
        os.setsid()
    os._exit(0)


def ignore_signals():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def stubborn():
    ignore_signals()
    while True:
        time.sleep(10_000)


def wait_for_a_signal(tell):
    try:
        tell(begun=True)
        signal.pause()
    except KeyboardInterrupt:
        sys.exit(42)
