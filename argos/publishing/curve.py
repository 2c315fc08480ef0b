"""Keys of CURVE: who may read a publisher, and how both sides prove who they are.

Keys are files in ZeroMQ's own form (``zmq.auth``): ``NAME.key`` holds the public key, ``NAME.key_secret`` both.

Reference:
    CurveZMQ, RFC 26 of ZeroMQ; ZAP, RFC 27.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import zmq
from zmq.auth import create_certificates, load_certificate
from zmq.auth.thread import ThreadAuthenticator

from argos.errors import ConfigError

logger = logging.getLogger(__name__)

SERVER, CLIENTS = "server", "clients"
"""What ``make_keys`` names the publisher's key, and the folder of public keys that may read it."""

_DOMAIN = "argos"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_KEY = re.compile(rb"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")  # Z85 of 32 bytes
_REMEDY = "argos keygen DIR makes keys"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A public key and its secret, in Z85: 40 letters each."""

    public: bytes
    secret: bytes = field(repr=False)


class AllowList:
    """The clients that may connect: public keys ``*.key`` in a folder, read again when the folder changes.

    A key that is removed bars the next connection; one that stands already goes on until it breaks.
    """

    def __init__(self, folder: str | Path) -> None:
        """Read the folder.

        Raises:
            ConfigError: it cannot be read, or holds no key.
        """
        self.folder = Path(folder)
        self._read_at = self._changed_at()
        self._keys = self._read()
        if not self._keys:
            raise ConfigError(f"{self.folder}: holds no client's public key (*.key), so nobody could read; {_REMEDY}")

    def __len__(self) -> int:
        return len(self._keys)

    def callback(self, domain: str, key: bytes) -> bool:
        """Whether a client may connect; asked by ``zmq.auth`` at each handshake, in its thread."""
        try:
            changed_at = self._changed_at()
            if changed_at != self._read_at:
                self._read_at, self._keys = changed_at, self._read()
        except ConfigError as error:  # the list read before stays: nobody new gets in, nobody known is locked out
            logger.warning("the list of clients stays as it was: %s", error, extra={"event": "publish.clients"})
        allowed = key in self._keys
        if not allowed:
            logger.warning("a client with an unknown key was refused", extra={"event": "publish.refused"})
        return allowed

    def _changed_at(self) -> tuple[tuple[str, int], ...]:
        """Names and times of the key files; another answer means another list."""
        try:
            return tuple(sorted((str(path), path.stat().st_mtime_ns) for path in self.folder.glob("*.key")))
        except OSError as error:
            raise ConfigError(f"{self.folder}: cannot be read ({error.strerror}); {_REMEDY}") from error

    def _read(self) -> frozenset[bytes]:
        if not self.folder.is_dir():
            raise ConfigError(f"{self.folder}: no such folder of clients' public keys; {_REMEDY}")
        return frozenset(read_public_key(path) for path in self.folder.glob("*.key"))


@dataclass(frozen=True, slots=True)
class ServerKeys:
    """What a publisher needs: its own key pair and its clients."""

    pair: KeyPair
    clients: AllowList


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """What a subscriber needs: its own key pair, and the public key of the publisher it trusts."""

    pair: KeyPair
    server: bytes


def read_public_key(path: str | Path) -> bytes:
    """The public key of a key file.

    Raises:
        ConfigError: there is no such file, or no key in it.
    """
    return _read(path)[0]


def read_key_pair(path: str | Path) -> KeyPair:
    """Both keys of a ``.key_secret`` file; warns when others on this machine can read it.

    Raises:
        ConfigError: there is no such file, or no secret key in it.
    """
    public, secret = _read(path)
    if secret is None:
        raise ConfigError(f"{path}: holds a public key only; give the file that ends in .key_secret")
    if stat.S_IMODE(os.stat(path).st_mode) & 0o077:
        logger.warning("%s: other users of this machine can read this secret; chmod 600 it", path)
    return KeyPair(public, secret)


def read_server_keys(server_key: str | Path, clients: str | Path) -> ServerKeys:
    """Keys of a publisher: its ``.key_secret`` file, and the folder of its clients' public keys."""
    return ServerKeys(read_key_pair(server_key), AllowList(clients))


def read_client_keys(server_key: str | Path, client_key: str | Path) -> ClientKeys:
    """Keys of a subscriber: the publisher's public ``.key`` file, and its own ``.key_secret`` file."""
    return ClientKeys(read_key_pair(client_key), read_public_key(server_key))


def serve_curve(
    context: zmq.Context[zmq.Socket[bytes]], socket: zmq.Socket[bytes], keys: ServerKeys
) -> ThreadAuthenticator:
    """Let a socket that is not bound yet speak CURVE, to the clients of ``keys`` alone.

    Returns:
        The running thread that answers for them; the caller stops it.
    """
    doorkeeper = ThreadAuthenticator(context, log=logging.getLogger(f"{__name__}.zap"))
    doorkeeper.start()
    doorkeeper.configure_curve_callback(domain=_DOMAIN, credentials_provider=keys.clients)
    ask_for_keys(socket, keys)
    return doorkeeper


def ask_for_keys(socket: zmq.Socket[bytes], keys: ServerKeys) -> None:
    """Let a further socket of a context with a doorkeeper, not bound yet, speak CURVE to the same clients."""
    socket.setsockopt(zmq.ZAP_DOMAIN, _DOMAIN.encode())  # another name here or there would refuse everyone
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.pair.secret)


def speak_curve(socket: zmq.Socket[bytes], keys: ClientKeys) -> None:
    """Let a socket that is not connected yet speak CURVE."""
    socket.setsockopt(zmq.CURVE_SERVERKEY, keys.server)
    socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.pair.public)
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.pair.secret)


def make_keys(folder: str | Path, clients: Sequence[str]) -> list[Path]:
    """Make the keys of a publisher, unless it has some, and of clients.

    ``server.key_secret`` and ``clients/`` are the publisher's; ``server.key`` and ``NAME.key_secret`` are what a client
    needs. Nothing that exists is written over.

    Args:
        folder: made where there is none, closed to other users.
        clients: names like those of cameras.

    Returns:
        The files written.

    Raises:
        ConfigError: a name cannot be used, has keys already, the folder is that of a client, or cannot be written.
    """
    folder = Path(folder)
    clients = list(dict.fromkeys(clients))
    server, server_secret = folder / f"{SERVER}.key", folder / f"{SERVER}.key_secret"
    if server.exists() and not server_secret.exists():
        raise ConfigError(
            f"{server}: is the key of a publisher whose secret is not here; choose another folder, or the publisher's"
        )
    for name in clients:
        if not _NAME.fullmatch(name) or name == SERVER:
            raise ConfigError(
                f"client '{name}': expected a name like desk-2 (a-z, 0-9, _ and -), other than '{SERVER}'"
            )
        if (folder / f"{name}.key_secret").exists() or (folder / CLIENTS / f"{name}.key").exists():
            raise ConfigError(
                f"client '{name}': has keys in {folder} already; choose another name, or remove them first"
            )
    written: list[Path] = []
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / CLIENTS).mkdir(mode=0o700, exist_ok=True)
        if not server_secret.exists():
            written += _make_pair(SERVER, server, server_secret)
        for name in clients:
            written += _make_pair(name, folder / CLIENTS / f"{name}.key", folder / f"{name}.key_secret")
    except OSError as error:
        raise ConfigError(f"{folder}: keys cannot be written ({error.strerror}); choose another folder") from error
    return written


def _make_pair(name: str, public: Path, secret: Path) -> list[Path]:
    # written where nobody else looks, and only then, closed, put in its place
    with TemporaryDirectory(dir=secret.parent) as hidden:
        made_public, made_secret = create_certificates(hidden, name)
        os.chmod(made_secret, 0o600)
        os.replace(made_secret, secret)
        os.replace(made_public, public)
    return [public, secret]


def _read(path: str | Path) -> tuple[bytes, bytes | None]:
    try:
        public, secret = load_certificate(path)
    except OSError as error:
        raise ConfigError(f"{path}: no such key file, or it cannot be read; {_REMEDY}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: holds no key; {_REMEDY}") from error
    if not all(_KEY.fullmatch(key) for key in (public, secret or public)):
        raise ConfigError(f"{path}: its key is damaged: expected 40 letters of Z85; {_REMEDY}")
    if secret is not None and zmq.curve_public(secret) != public:
        raise ConfigError(f"{path}: the public and the secret key in it do not belong together; {_REMEDY}")
    return public, secret
