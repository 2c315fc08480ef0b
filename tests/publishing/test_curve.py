from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from publishing_results import made_result, made_status
from waiting import wait_for

from argos.cli import main
from argos.config import load_config
from argos.errors import ConfigError
from argos.publishing.curve import AllowList, KeyPair, make_keys, read_key_pair, read_public_key, read_server_keys
from argos.publishing.publisher import Publisher
from argos.publishing.subscriber import Subscriber

RESULT = "argos/1/result/desk/"


class Keys:
    """A folder of keys with the clients ann and bob."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        make_keys(folder, ["ann", "bob"])

    def of(self, name: str) -> dict[str, Path]:
        return {"server_key": self.folder / "server.key", "client_key": self.folder / f"{name}.key_secret"}

    def server(self) -> Any:
        return read_server_keys(self.folder / "server.key_secret", self.folder / "clients")


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "keys")


@pytest.fixture
def sending(keys: Keys) -> Iterator[Publisher]:
    """Publishes to those with keys on every address, all the time."""
    done = threading.Event()
    with Publisher("tcp://0.0.0.0:*", run="01jtest", cameras=["desk"], curve=keys.server()) as publisher:
        publisher.status_changed(made_status())

        def send() -> None:
            seq = 0
            while not done.wait(0.01):
                publisher.send(made_result(seq))
                seq += 1

        thread = threading.Thread(target=send)
        thread.start()
        yield publisher
        done.set()
        thread.join()


def near(publisher: Publisher) -> str:
    return publisher.endpoint.replace("0.0.0.0", "127.0.0.1")


def gets(endpoint: str, seconds: float = 20.0, **keys: Any) -> bool:
    with Subscriber(endpoint, kinds=["result", "status", "hello"], timeout=seconds, **keys) as subscriber:
        try:
            subscriber.receive()
        except TimeoutError:
            return False
        return True


def test_a_known_key_is_served_beyond_loopback(sending: Publisher, keys: Keys) -> None:
    assert gets(near(sending), **keys.of("ann"))
    assert gets(near(sending), **keys.of("bob"))


def test_no_key_an_unknown_key_and_a_wrong_server_key_get_nothing(
    sending: Publisher, keys: Keys, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = Keys(tmp_path / "other")
    unknown = {"server_key": keys.folder / "server.key", "client_key": stranger.folder / "ann.key_secret"}
    wrong_server = {"server_key": stranger.folder / "server.key", "client_key": keys.folder / "ann.key_secret"}
    with Subscriber(near(sending), queue=1000, timeout=20, **keys.of("ann")) as known:
        known.receive()
        for refused in ({}, unknown, wrong_server):
            assert not gets(near(sending), 0.4, **refused)
        assert {prefix.decode() for prefix in sending._prefixes} == {"argos/1/result/"}  # nobody else is heard
        known.receive()
        assert known.missed == known.restarted == known.refused == 0
    with Subscriber(near(sending), timeout=0.05, **unknown) as subscriber:
        wait_for(lambda: subscriber.refused)
        with pytest.raises(TimeoutError, match="not connected: the handshake was refused, check the keys"):
            subscriber.receive()
    assert "a client with an unknown key was refused" in caplog.text


def test_what_travels_cannot_be_read(sending: Publisher, keys: Keys) -> None:
    """A relay in between sees neither topic nor header."""
    host, port = near(sending).removeprefix("tcp://").split(":")
    seen = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as relay:

        def pump(one: socket.socket, other: socket.socket) -> None:
            while data := one.recv(65536):
                seen.extend(data)
                other.sendall(data)

        def serve() -> None:
            client, _ = relay.accept()
            server = socket.create_connection((host, int(port)))
            for pair in ((client, server), (server, client)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        endpoint = f"tcp://127.0.0.1:{relay.getsockname()[1]}"
        with Subscriber(endpoint, queue=100, timeout=20, **keys.of("ann")) as subscriber:
            assert [subscriber.receive().camera for _ in range(3)] == ["desk"] * 3
    assert b"CURVE" in seen
    assert len(seen) > 3000
    secret = read_key_pair(keys.of("ann")["client_key"]).secret
    assert not any(word in seen for word in (b"argos", b"desk", b"instances", secret))


def test_a_client_added_later_gets_in_and_a_removed_one_stays_out(sending: Publisher, keys: Keys) -> None:
    make_keys(keys.folder, ["carl"])
    assert gets(near(sending), **keys.of("carl"))
    (keys.folder / "clients" / "carl.key").unlink()
    assert not gets(near(sending), 0.4, **keys.of("carl"))
    (keys.folder / "clients" / "broken.key").write_text("nothing")  # the list as it was stays in force
    assert gets(near(sending), **keys.of("bob"))


def test_a_client_that_was_refused_gets_in_once_its_key_is_there(
    sending: Publisher, keys: Keys, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_keys(keys.folder, ["carl"])
    (keys.folder / "clients" / "carl.key").rename(tmp_path / "carl.key")
    with Subscriber(near(sending), timeout=20, **keys.of("carl")) as subscriber:
        wait_for(lambda: "the handshake was refused, check the keys" in caplog.text)
        assert not subscriber.connected
        (tmp_path / "carl.key").rename(keys.folder / "clients" / "carl.key")
        subscriber.receive()
        assert subscriber.connected


def test_a_publisher_that_asked_for_keys_for_a_while_is_found_again(keys: Keys) -> None:
    options: dict[str, Any] = {"run": "01jtest", "cameras": ["desk"]}
    with Publisher("tcp://127.0.0.1:*", curve=keys.server(), **options) as publisher:
        endpoint = publisher.endpoint
        subscriber = Subscriber(endpoint, kinds=["hello"], timeout=20)
        wait_for(lambda: subscriber.refused)
    with subscriber, Publisher(endpoint, **options):
        assert subscriber.receive()


def test_garbage_and_many_connections_hurt_no_one_with_keys(sending: Publisher, keys: Keys) -> None:
    host, port = near(sending).removeprefix("tcp://").split(":")
    greeting = b"\xff" + b"\0" * 8 + b"\x7f\x03\x00" + b"CURVE".ljust(20, b"\0") + b"\0" * 32
    with Subscriber(near(sending), queue=1000, timeout=20, **keys.of("ann")) as subscriber:
        subscriber.receive()
        strangers = [socket.create_connection((host, int(port)), timeout=20) for _ in range(300)]
        for n, stranger in enumerate(strangers):
            junk = (b"GET / HTTP/1.1\r\n\r\n", os.urandom(4096), greeting + os.urandom(300), greeting, b"")[n % 5]
            try:
                stranger.sendall(junk)
            except OSError:  # thrown out while it still spoke
                continue
        assert gets(near(sending), **keys.of("bob"))
        last = subscriber.receive().seq
        wait_for(lambda: subscriber.receive().seq > last + 20)
        for stranger in strangers:
            stranger.close()
        assert subscriber.missed == 0


def test_a_client_that_floods_with_subscriptions_is_thrown_out(sending: Publisher, keys: Keys) -> None:
    """A client with a key may still be broken: what it asks is bounded, and others are served."""
    from argos.publishing.curve import read_client_keys, speak_curve

    with zmq.Context() as context, context.socket(zmq.SUB) as client:
        client.setsockopt(zmq.LINGER, 0)
        speak_curve(client, read_client_keys(**keys.of("bob")))
        client.connect(near(sending))
        client.subscribe(b"x" * 10_000)
        with Subscriber(near(sending), queue=1000, timeout=20, **keys.of("ann")) as subscriber:
            last = subscriber.receive().seq
            wait_for(lambda: subscriber.receive().seq > last + 20)
    assert not any(prefix.startswith(b"x") for prefix in sending._prefixes)


def test_keygen_prints_the_files_closes_the_secrets_and_overwrites_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "keys"
    assert main(["keygen", str(folder)]) == 0
    printed = [Path(line) for line in capsys.readouterr().out.splitlines()]
    names = ["server.key", "server.key_secret", "clients/viewer.key", "viewer.key_secret"]
    assert printed == [folder / name for name in names]
    assert sorted(path for path in folder.rglob("*") if path.is_file()) == sorted(printed)
    assert [stat.S_IMODE(path.stat().st_mode) for path in printed if path.suffix == ".key_secret"] == [0o600, 0o600]
    before = {path: path.read_bytes() for path in printed}
    assert main(["keygen", str(folder), "--client", "desk-2", "--client", "bob"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert main(["keygen", str(folder)]) == 2
    assert "client 'viewer': has keys in" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in printed} == before
    assert main(["keygen", str(folder), "--client", "../x"]) == 2
    assert main(["keygen", str(folder), "--client", "server"]) == 2
    assert len(AllowList(folder / "clients")) == 3


def test_keygen_leaves_the_key_of_a_publisher_elsewhere_alone(
    keys: Keys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "client"
    folder.mkdir()
    for name in ("server.key", "ann.key_secret"):
        (folder / name).write_bytes((keys.folder / name).read_bytes())
    assert main(["keygen", str(folder)]) == 2
    assert "is the key of a publisher whose secret is not here" in capsys.readouterr().err
    assert (folder / "server.key").read_bytes() == (keys.folder / "server.key").read_bytes()


def test_a_client_named_twice_gets_one_pair_of_keys(tmp_path: Path) -> None:
    assert len(make_keys(tmp_path, ["ann", "ann"])) == 4


def test_the_keys_are_the_ones_zmq_makes(keys: Keys) -> None:
    pair = read_key_pair(keys.folder / "server.key_secret")
    assert zmq.curve_public(pair.secret) == pair.public == read_public_key(keys.folder / "server.key")
    assert pair.secret.decode() not in repr(pair)


def test_faults_of_key_files_are_explained(keys: Keys, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    damaged, mixed, empty = tmp_path / "damaged.key", tmp_path / "mixed.key_secret", tmp_path / "empty"
    damaged.write_text('curve\n    public-key = "short"\n')
    ann, bob = (read_key_pair(keys.folder / f"{name}.key_secret") for name in ("ann", "bob"))
    mixed.write_text(f'curve\n    public-key = "{ann.public.decode()}"\n    secret-key = "{bob.secret.decode()}"\n')
    empty.mkdir()
    faults: list[tuple[Callable[[], object], str]] = [
        (lambda: read_public_key(tmp_path / "no.key"), "no.key: no such key file"),
        (lambda: read_public_key(damaged), "its key is damaged"),
        (lambda: read_key_pair(keys.folder / "server.key"), "holds a public key only; give the file that ends in"),
        (lambda: read_key_pair(mixed), "do not belong together"),
        (lambda: AllowList(empty), "holds no client's public key"),
        (lambda: AllowList(tmp_path / "none"), "none"),
    ]
    for call, message in faults:
        with pytest.raises(ConfigError, match=message) as caught:
            call()
        assert bob.secret.decode() not in str(caught.value)
    (keys.folder / "ann.key_secret").chmod(0o644)
    assert isinstance(read_key_pair(keys.folder / "ann.key_secret"), KeyPair)
    assert "chmod 600" in caplog.text


def test_one_key_without_the_other_is_refused(keys: Keys) -> None:
    with pytest.raises(ValueError, match="server_key and client_key: expected both or none"):
        Subscriber("tcp://127.0.0.1:9", server_key=keys.folder / "server.key")


def test_a_configuration_with_keys_may_bind_beyond_loopback_and_finds_them_beside_it(
    keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "camera.yaml"
    curve = "{server_key: keys/server.key_secret, clients: keys/clients}"
    path.write_text(f"version: 1\ncamera: {{source: clip.mp4}}\npublish: {{bind: 'tcp://*:5555', curve: {curve}}}\n")
    monkeypatch.chdir("/")
    config = load_config(path)
    assert config.publish.curve is not None
    assert config.publish.curve.server_key == str(keys.folder / "server.key_secret")
    assert len(read_server_keys(config.publish.curve.server_key, config.publish.curve.clients).clients) == 2


def test_argos_sub_takes_keys(sending: Publisher, keys: Keys, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["sub", near(sending), "--kind", "result", "--count", "1", "--timeout"]
    given = [f"--{name.replace('_', '-')}={path}" for name, path in keys.of("ann").items()]
    assert main([*command, "20", *given]) == 0
    assert capsys.readouterr().out.startswith("result  desk ")
    assert main([*command, "0.3"]) == 3
    assert main([*command, "20", given[0]]) == 2
    assert main([*command, "20", "--server-key=no.key", given[1]]) == 2
    assert "no.key: no such key file" in capsys.readouterr().err


def test_closing_leaves_no_thread_and_no_descriptor(keys: Keys) -> None:
    def once() -> None:
        with Publisher("tcp://127.0.0.1:*", run="01jtest", cameras=["desk"], curve=keys.server()) as publisher:
            publisher.status_changed(made_status())
            assert gets(publisher.endpoint, **keys.of("ann"))

    once()
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        once()
    assert threading.active_count() <= threads
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 2
