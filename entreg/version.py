"""The version of entreg, which provenance.json records for every start of a run."""

VERSION = "0.3.0"
