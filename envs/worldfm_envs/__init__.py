"""Gymnasium and PettingZoo environments on WorldFM worlds."""
