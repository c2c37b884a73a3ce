"""Doing: what trains, evaluates, times and keeps records; owner of disk, devices and processes."""
