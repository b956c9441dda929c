"""Reconstruction: what a photo says about the space that it shows."""

from worldfm_gym.reconstruction.estimator import DepthEstimate, DepthEstimator, make_estimator

__all__ = ["DepthEstimate", "DepthEstimator", "make_estimator"]
