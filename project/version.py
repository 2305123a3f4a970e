"""The release of the server."""

VERSION = "0.1.0"
