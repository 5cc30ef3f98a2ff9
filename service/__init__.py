"""The classifier at work: command line, HTTP API, desk, store and intake of files."""
