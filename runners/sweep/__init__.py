"""Sweeps: a study asks for parameters, an executor tries them, and the study is told."""
