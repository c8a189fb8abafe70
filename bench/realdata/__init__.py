"""Estimators on real data, and where the best score is known: ``python -m bench.realdata``."""
