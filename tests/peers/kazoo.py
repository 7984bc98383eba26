"""kazoo against a server: HOSTS on the command line, a line for each thing that worked."""
import queue
import sys
import threading

from kazoo.client import KazooClient
from kazoo.exceptions import (
    BadVersionError, NodeExistsError, NoNodeError, NotEmptyError, RolledBackError)
from kazoo.security import make_digest_acl

LIMIT = 30


def raises(kind, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except kind:
        return
    raise AssertionError(f"{call.__name__} did not raise {kind.__name__}")


def crud(client):
    client.ensure_path("/kazoo/crud")
    assert client.create("/kazoo/crud/a", b"one") == "/kazoo/crud/a"
    raises(NodeExistsError, client.create, "/kazoo/crud/a")
    data, stat = client.get("/kazoo/crud/a")
    assert (data, stat.version, stat.data_length) == (b"one", 0, 3)
    assert client.set("/kazoo/crud/a", b"two").version == 1
    raises(BadVersionError, client.set, "/kazoo/crud/a", b"x", version=7)
    assert client.get("/kazoo/crud/a")[0] == b"two"
    path, stat = client.create("/kazoo/crud/b-", sequence=True, ephemeral=True, include_data=True)
    assert path == "/kazoo/crud/b-0000000001", path
    assert stat.ephemeralOwner == client.client_id[0]
    assert sorted(client.get_children("/kazoo/crud")) == ["a", "b-0000000001"]
    raises(NotEmptyError, client.delete, "/kazoo/crud")
    raises(NoNodeError, client.get, "/kazoo/none")
    assert client.exists("/kazoo/none") is None
    client.delete("/kazoo/crud", recursive=True)
    assert client.exists("/kazoo/crud") is None
    client.sync("/kazoo")


def watches(client, other):
    client.ensure_path("/kazoo/watched")
    heard = queue.Queue()
    client.get("/kazoo/watched", watch=heard.put)
    other.set("/kazoo/watched", b"new")
    event = heard.get(timeout=LIMIT)
    assert (event.type, event.path) == ("CHANGED", "/kazoo/watched"), event
    client.get_children("/kazoo/watched", watch=heard.put)
    other.create("/kazoo/watched/child")
    event = heard.get(timeout=LIMIT)
    assert (event.type, event.path) == ("CHILD", "/kazoo/watched"), event
    client.exists("/kazoo/watched/later", watch=heard.put)
    other.create("/kazoo/watched/later")
    event = heard.get(timeout=LIMIT)
    assert (event.type, event.path) == ("CREATED", "/kazoo/watched/later"), event

    values = queue.Queue()
    client.DataWatch("/kazoo/watched", lambda data, stat: values.put(data))
    assert values.get(timeout=LIMIT) == b"new"
    other.set("/kazoo/watched", b"newer")
    assert values.get(timeout=LIMIT) == b"newer"


def lock(client, other):
    order = []
    first, second = client.Lock("/kazoo/lock", "one"), other.Lock("/kazoo/lock", "two")
    first.acquire(timeout=LIMIT)

    def wait():
        with second:
            order.append("second")

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    while len(first.contenders()) < 2:
        pass
    assert first.contenders() == ["one", "two"]
    order.append("first")
    first.release()
    thread.join(LIMIT)
    assert order == ["first", "second"], order


def transaction(client):
    client.ensure_path("/kazoo/tx")
    good = client.transaction()
    good.check("/kazoo/tx", 0)
    good.create("/kazoo/tx/a", b"1")
    good.set_data("/kazoo/tx/a", b"2")
    good.create("/kazoo/tx/b")
    good.delete("/kazoo/tx/b")
    results = good.commit()
    assert results[0] is True and results[1] == "/kazoo/tx/a" and results[2].version == 1, results
    bad = client.transaction()
    bad.create("/kazoo/tx/c")
    bad.delete("/kazoo/tx/none")
    kinds = [type(result) for result in bad.commit()]
    assert kinds == [RolledBackError, NoNodeError], kinds
    assert client.exists("/kazoo/tx/c") is None


def credentials(client, hosts):
    client.add_auth("digest", "bob:secret")
    acl = make_digest_acl("bob", "secret", all=True)
    client.create("/kazoo/mine", b"x", acl=[acl])
    stranger = connected(hosts)
    raises(Exception, stranger.get, "/kazoo/mine")
    stranger.stop()
    assert client.get_acls("/kazoo/mine")[0][0].id.id.startswith("bob:")
    client.delete("/kazoo/mine")


def session(hosts):
    gone = connected(hosts)
    gone.create("/kazoo/ephemeral", ephemeral=True)
    gone.stop()
    other = connected(hosts)
    assert other.exists("/kazoo/ephemeral") is None
    other.stop()


def connected(hosts):
    client = KazooClient(hosts=hosts, timeout=10)
    client.start(timeout=LIMIT)
    return client


def main(hosts):
    client, other = connected(hosts), connected(hosts)
    print("version", ".".join(map(str, client.server_version())))
    for name, run, arguments in [
        ("crud", crud, (client,)),
        ("watches", watches, (client, other)),
        ("lock", lock, (client, other)),
        ("transaction", transaction, (client,)),
        ("credentials", credentials, (client, hosts)),
        ("session", session, (hosts,)),
    ]:
        run(*arguments)
        print("ok", name, flush=True)
    client.delete("/kazoo", recursive=True)
    for each in client, other:
        each.stop()
        each.close()


main(sys.argv[1])
