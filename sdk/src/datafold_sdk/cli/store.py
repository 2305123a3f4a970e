"""Where the command line keeps its settings and private keys, and what it accepts from the environment."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from datafold_sdk.errors import ConfigurationError
from datafold_sdk.keys import PrivateKey

DEFAULT_SERVER_URL: Final = "http://127.0.0.1:8000"
#: What a profile may hold, and the environment variable that overrides it.
SETTINGS: Final[dict[str, str]] = {
    "server_url": "DATAFOLD_SERVER_URL",
    "client_id": "DATAFOLD_CLIENT_ID",
    "private_key_file": "DATAFOLD_PRIVATE_KEY_FILE",
    "algorithm": "DATAFOLD_ALGORITHM",
    "signing_profile": "DATAFOLD_SIGNING_PROFILE",
}
MAX_FILE_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Settings:
    """What one run of the command works with.

    Attributes:
        private_key: None where none is configured.
        key_source: where the private key came from, for a person.
    """

    server_url: str
    client_id: str | None
    private_key: PrivateKey | None
    key_source: str | None
    signing_profile: str


class Store:
    """The configuration file and the key files below the user's configuration folder.

    Args:
        environ: the environment; XDG_CONFIG_HOME says where, `~/.config` by default.
        profile: which of the file's profiles to use.
    """

    def __init__(self, environ: Mapping[str, str], profile: str) -> None:
        if not profile or not all(char.isalnum() or char in "-_." for char in profile) or profile[0] == ".":
            raise ConfigurationError(
                f"{profile!r} cannot name a profile: use letters, digits, '-', '_' and '.'."
            )
        self._environ = environ
        self.profile = profile
        self._home = Path(environ.get("HOME") or Path.home())
        self.folder = Path(environ.get("XDG_CONFIG_HOME") or self._home / ".config") / "datafold"
        self.path = self.folder / "config.json"

    def stored(self) -> dict[str, str]:
        """The profile as the file has it."""
        profile = self._read().get(self.profile, {})
        return {name: str(value) for name, value in profile.items() if name in SETTINGS}

    def effective(self, **options: str | None) -> dict[str, str]:
        """The settings that count: options before the environment before the file."""
        values = self.stored()
        values |= {name: self._environ[key] for name, key in SETTINGS.items() if self._environ.get(key)}
        return values | {name: value for name, value in options.items() if value}

    def settings(self, **options: str | None) -> Settings:
        """Everything that a call needs.

        Raises:
            ConfigurationError: a file cannot be read, or others can read the private key.
            InvalidKeyError: the private key is none.
        """
        values = self.effective(**options)
        key, source = self._private_key(values, given=options.get("private_key_file"))
        return Settings(
            server_url=values.get("server_url", DEFAULT_SERVER_URL),
            client_id=values.get("client_id"),
            private_key=key,
            key_source=source,
            signing_profile=values.get("signing_profile", "standard"),
        )

    def save(self, **changes: str | None) -> None:
        """Change settings of the profile; None removes one.

        Raises:
            ConfigurationError: the file cannot be read or written.
        """
        profiles = self._read()
        profile = dict(profiles.get(self.profile, {})) | changes
        profiles[self.profile] = {name: value for name, value in profile.items() if value is not None}
        self._make_folder()
        try:
            handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=".config-")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"profiles": profiles}, file, indent=2)
                file.write("\n")
            os.replace(temporary, self.path)
        except OSError as exc:
            raise ConfigurationError(f"{self.path} cannot be written: {exc.strerror}.") from exc

    def write_key(self, key: PrivateKey, path: Path | None = None) -> Path:
        """Write a private key to a new file that only its owner can read (mode 0600).

        Raises:
            ConfigurationError: the file exists already, or cannot be written.
        """
        if path is None:
            self._make_folder()
            path = self.folder / f"{self.profile}-{key.thumbprint[:8]}.pem"
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise ConfigurationError(
                f"{path} exists already. A key file is never overwritten: name another."
            ) from None
        except OSError as exc:
            raise ConfigurationError(f"{path} cannot be written: {exc.strerror}.") from exc
        with os.fdopen(handle, "wb") as file:
            file.write(key.private_pem())
            file.flush()
            os.fsync(file.fileno())
        return path.absolute()

    def shown(self, path: Path) -> str:
        """`path` as a person would type it."""
        return f"~/{path.relative_to(self._home)}" if path.is_relative_to(self._home) else str(path)

    def _private_key(
        self, values: Mapping[str, str], *, given: str | None
    ) -> tuple[PrivateKey | None, str | None]:
        algorithm, inline = values.get("algorithm"), self._environ.get("DATAFOLD_PRIVATE_KEY")
        if inline and not given:
            if _looks_like_key(inline):
                return PrivateKey.load(inline, algorithm), "DATAFOLD_PRIVATE_KEY"
            if not os.path.isfile(inline):  # Not quoted: it may be a key with a character too few.
                raise ConfigurationError(
                    "DATAFOLD_PRIVATE_KEY is neither 64 hexadecimal characters, nor PEM, nor a file that is there."
                )
            return load_key_file(Path(inline), algorithm), inline
        path = values.get("private_key_file")
        return (load_key_file(Path(path), algorithm), path) if path else (None, None)

    def _read(self) -> dict[str, Any]:
        try:
            parsed = json.loads(read_text(self.path))
        except FileNotFoundError:
            return {}
        except OSError as exc:
            raise ConfigurationError(f"{self.path} cannot be read: {exc.strerror}.") from exc
        except (ValueError, RecursionError):
            raise ConfigurationError(f"{self.path} is not valid JSON. Mend it or remove it.") from None
        profiles = parsed.get("profiles") if isinstance(parsed, dict) else None
        if not isinstance(profiles, dict) or not all(isinstance(each, dict) for each in profiles.values()):
            raise ConfigurationError(f"{self.path} holds no profiles. Mend it or remove it.")
        return profiles

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            raise ConfigurationError(f"{self.folder} cannot be made: {exc.strerror}.") from exc


def load_key_file(path: Path, algorithm: str | None = None) -> PrivateKey:
    """Read a private key file.

    Raises:
        ConfigurationError: it cannot be read, or everyone can read it.
        InvalidKeyError: it holds no private key.
    """
    try:
        mode = path.stat().st_mode
    except OSError as exc:
        raise ConfigurationError(f"The private key file {path} cannot be read: {exc.strerror}.") from exc
    if os.name == "posix" and mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise ConfigurationError(
            f"Others can use the private key file {path} (mode {stat.S_IMODE(mode):04o}). "
            f"Run chmod 600 {path}; if it may have been copied, rotate the key."
        )
    try:
        return PrivateKey.load(read_text(path), algorithm)
    except OSError as exc:
        raise ConfigurationError(f"The private key file {path} cannot be read: {exc.strerror}.") from exc


def read_text(path: Path) -> str:
    """A small text file. Raises ConfigurationError if it is large or not UTF-8; OSError passes."""
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ConfigurationError(f"{path} is larger than {MAX_FILE_BYTES} bytes.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not a text file.") from None


def _looks_like_key(text: str) -> bool:
    stripped = text.strip()
    return stripped.startswith("-----BEGIN") or (
        len(stripped) == 64 and set(stripped) <= set("0123456789abcdefABCDEF")
    )
