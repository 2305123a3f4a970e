"""A network namespace of its own for one web server, on a cable that can be cut without a word.

Cut means that packets vanish, as behind a switch that died: the neighbours' hardware addresses are
replaced by ones that nobody has. No connection is reset, nobody is told.
"""

from __future__ import annotations

import os
import shutil
import subprocess

import psutil

NETWORK = "198.18.77.0/29"  # of RFC 2544's range, which no network uses
HOST = "198.18.77.1"
REDIS = "198.18.77.3"
INSIDE = "198.18.77.2"
NAME = "datafold-chaos-"
NOBODY = "02:00:00:00:00:99"
IP = shutil.which("ip") or shutil.which("ip", path="/usr/sbin:/sbin")


class Namespace:
    """Made when it is called for; `remove` it.

    Raises:
        RuntimeError: it cannot be made here, and why.
    """

    def __init__(self) -> None:
        if IP is None:
            raise RuntimeError("no ip command: install iproute2")
        if os.geteuid() != 0:
            raise RuntimeError("a network namespace needs root")
        _remove_left_behind()
        self.name = f"{NAME}{os.getpid()}"
        self._cable = f"dfchaos{os.getpid() % 10**7}"
        try:
            self._make()
        except RuntimeError:
            self.remove()
            raise

    @property
    def prefix(self) -> list[str]:
        """What a command begins with to run inside."""
        return [str(IP), "netns", "exec", self.name]

    def cut(self) -> None:
        """Nothing gets in or out."""
        _run("neigh", "replace", INSIDE, "lladdr", NOBODY, "dev", self._cable, "nud", "permanent")
        for address in (HOST, REDIS):
            self._forget(address)

    def cut_redis(self) -> None:
        """Nothing gets out to Redis; everything else goes on."""
        self._forget(REDIS)

    def mend(self) -> None:
        _run("neigh", "del", INSIDE, "dev", self._cable, check=False)
        for address in (HOST, REDIS):
            _run("-n", self.name, "neigh", "del", address, "dev", "inside", check=False)

    def remove(self) -> None:
        _run("netns", "del", self.name, check=False)  # the cable goes with it
        _run("route", "del", "blackhole", NETWORK, check=False)

    def _make(self) -> None:
        _run("netns", "add", self.name)
        _run("link", "add", self._cable, "type", "veth", "peer", "name", "inside", "netns", self.name)
        # Without the cable nothing of this may leave by another way.
        _run("route", "replace", "blackhole", NETWORK, "metric", "9999")
        for address in (HOST, REDIS):
            _run("addr", "add", f"{address}/29", "dev", self._cable)
        _run("link", "set", self._cable, "up")
        _run("-n", self.name, "addr", "add", f"{INSIDE}/29", "dev", "inside")
        _run("-n", self.name, "link", "set", "inside", "up")
        _run("-n", self.name, "link", "set", "lo", "up")

    def _forget(self, address: str) -> None:
        _run(
            "-n",
            self.name,
            "neigh",
            "replace",
            address,
            "lladdr",
            NOBODY,
            "dev",
            "inside",
            "nud",
            "permanent",
        )


def _remove_left_behind() -> None:
    """Remove what a run that was killed could not; it would take this run's packets."""
    for line in _run("netns", "list").splitlines():
        name = line.split()[0]
        if not name.startswith(NAME):
            continue
        if _is_a_run(int(name.removeprefix(NAME))):
            raise RuntimeError("another run has the network")
        _run("netns", "del", name)


def _is_a_run(pid: int) -> bool:
    try:
        return "benchmarks.chaos" in psutil.Process(pid).cmdline()
    except psutil.NoSuchProcess:
        return False


def _run(*arguments: str, check: bool = True) -> str:
    """What the `ip` command printed."""
    result = subprocess.run([str(IP), *arguments], capture_output=True, text=True, check=False)
    if check and result.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {result.stderr.strip()}")
    return result.stdout
