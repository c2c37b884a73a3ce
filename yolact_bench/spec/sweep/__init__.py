"""Sweep specs: the search space and the objective."""
