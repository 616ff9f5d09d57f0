"""The version of entreg. Every start of a run records it (provenance.json)."""

VERSION = "0.3.0"
