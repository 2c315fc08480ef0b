"""``argos keygen DIR``: keys for publishing to other machines."""

from __future__ import annotations

import argparse

_EXAMPLE = """what the files are for:
  DIR/server.key_secret, DIR/clients/   stay with the publisher:
      publish: {bind: "tcp://0.0.0.0:5555", curve: {server_key: DIR/server.key_secret, clients: DIR/clients}}
  DIR/server.key, DIR/NAME.key_secret   go to the client NAME, over a way you trust:
      argos sub tcp://HOST:5555 --server-key server.key --client-key NAME.key_secret

A public key added to DIR/clients lets its owner in at once; one removed from there keeps it out from its next
connection on. A secret key that others may have seen is replaced: remove both files of the name, make new ones."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``argos keygen``."""
    parser.description = "Make keys (CURVE) for a publisher and its clients; nothing that exists is written over."
    parser.epilog = _EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", metavar="DIR", help="folder for the keys; made when it does not exist")
    parser.add_argument(
        "--client", metavar="NAME", action="append", help="make keys for this client; may be repeated (default: viewer)"
    )


def run(args: argparse.Namespace) -> int:
    """Make them, and print the files that were written, one a line."""
    from argos.publishing.curve import make_keys

    for path in make_keys(args.folder, args.client or ["viewer"]):
        print(path)
    return 0
