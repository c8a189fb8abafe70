"""Generators of documentation pages: ``python -m tools.pages`` writes, ``--check`` compares."""
