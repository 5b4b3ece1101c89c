"""Python without a network: whatever would leave this machine is refused, and written to the file NO_NETWORK_LOG.

A process loads this by itself where its folder is on PYTHONPATH, and so do its children. Not seen is what a library
does in its own C code.
"""

import ipaddress
import os
import socket
import sys


def _is_here(host):
    """Whether an address is one of this machine's: only those can be bound."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if address.is_loopback or address.is_unspecified:
        return True
    with socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True


def _refuse(what):
    with open(os.environ["NO_NETWORK_LOG"], "a") as log:  # noqa: PTH123  (at the start of each process: no imports)
        log.write(f"refused {what} of {sys.orig_argv}\n")
    raise ConnectionRefusedError(f"{what}: this process has no network")


def _guard(event, given):
    if event == "socket.connect":
        made, address = given
        is_stream = made.family in (socket.AF_INET, socket.AF_INET6) and made.type == socket.SOCK_STREAM
        if is_stream and not _is_here(address[0]):  # to connect a datagram sends nothing: it only picks an interface
            _refuse(f"a connection to {address}")
    if event == "socket.getaddrinfo":
        host = given[0].decode() if isinstance(given[0], bytes) else given[0]
        if host not in (None, "", "localhost", socket.gethostname()) and not _is_address(host):
            _refuse(f"a look for {host}")


def _is_address(host):
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


if "NO_NETWORK_LOG" in os.environ:
    sys.addaudithook(_guard)
    with open(os.environ["NO_NETWORK_LOG"], "a") as log:  # noqa: PTH123
        log.write(f"guarded {sys.orig_argv}\n")
