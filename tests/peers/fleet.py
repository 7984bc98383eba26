"""A member of a mixed fleet: a session of kazoo's, and whatever is done with it by hand.

HOSTS and the session timeout are on the command line. A line of the input is a number and Python,
`\x1f` for a line break; it runs on a thread of its own, with `client` and whatever was named before.
A line of the output is the number and `ok VALUE` or `error TYPE TEXT`. `tell(..)` says something in
between, under the number 0.
"""
import os
import sys
import threading

import kazoo
from kazoo.client import KazooClient

lock = threading.Lock()


def say(number, *words):
    with lock:
        print(number, *words, flush=True)


def tell(*words):
    say(0, "tell", *words)


def run(number, code, names):
    try:
        try:
            value = eval(compile(code, "<line>", "eval"), names)
        except SyntaxError:
            exec(compile(code, "<line>", "exec"), names)
            value = None
        say(number, "ok", repr(value))
    except BaseException as error:
        say(number, "error", type(error).__name__, repr(str(error)))


def main(hosts, timeout):
    client = KazooClient(hosts=hosts, timeout=float(timeout))
    client.start(timeout=30)
    names = {"client": client, "kazoo": kazoo, "tell": tell, "threading": threading}
    say(0, "ready")
    for line in sys.stdin:
        number, _, code = line.rstrip("\n").partition(" ")
        arguments = (number, code.replace("\x1f", "\n"), names)
        threading.Thread(target=run, args=arguments, daemon=True).start()
    client.stop()
    os._exit(0)


main(*sys.argv[1:])
