"""Scripted agents, demonstration and command line for WorldFM environments."""
