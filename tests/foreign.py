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


def close_files(tell, number):
    """Close as a daemon does, without a look at what is open."""
    os.closerange(0, number)
    tell(done=True)


def open_without_end(tell):
    with contextlib.suppress(OSError):
        while True:
            os.open(os.devnull, os.O_RDONLY)
    tell(done=True)


def write_to_files(tell, number, text):
    for file in range(3, number):
        with contextlib.suppress(OSError):
            os.write(file, text.encode())
    tell(done=True)


def write_a_line_without_end(tell):
    while True:
        for file in map(int, os.listdir("/dev/fd")):
            if file > 2:
                with contextlib.suppress(OSError):
                    os.write(file, b"garbage" * 1000)


def replace_pipe(tell):
    """Put another file in the place of each that is open, with the limit on files raised again."""
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    nothing = os.open(os.devnull, os.O_RDWR)
    for file in map(int, os.listdir("/dev/fd")):
        os.dup2(nothing, file)
    tell(done=True)


class Broken:
    """What raises whatever is done with it."""

    def __getattr__(self, name):
        raise SystemExit(name)


def replace_output(tell):
    print("hello")
    sys.stdout = sys.stderr = Broken()
    tell(done=True)


def replace_output_and_raise(tell):
    replace_output(tell)
    raise ValueError("broken")


def recurse(tell):
    recurse(tell)


def exit_with(tell, status):
    sys.exit(status)


def signal_parent(tell, fifo, number, group):
    """Send a signal to the parent, or to its group, with a daemon left behind."""
    daemon(tell, fifo, end=False)
    parent = os.getppid()
    os.kill(-os.getpgid(parent) if group else parent, number)
    time.sleep(10_000)


def signal_grandparent(tell, number):
    with open(f"/proc/{os.getppid()}/stat") as file:
        os.kill(int(file.read().rpartition(")")[2].split()[1]), number)
    time.sleep(10_000)


def kill_parent_while_telling(tell):
    """Let the parent die in the middle of what it passes on."""
    killer = threading.Thread(target=lambda: (time.sleep(0.2), os.kill(os.getppid(), signal.SIGKILL)))
    killer.start()
    while True:
        tell(text="x" * 300_000)


def ignore_and_loop(tell):
    ignore_signals()
    loop(tell)


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
