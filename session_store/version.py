"""The version of this package: here alone, where nothing need be searched for it."""

VERSION = "0.1.0"
