"""How many devices, released with noise: estimator, admission, noise, budget, and the word for the screen."""

__all__ = [
    "admission",
    "adoption",
    "baseline",
    "calibration",
    "capacity",
    "device_class",
    "estimator",
    "hours",
    "intervals",
    "occupancy",
    "privacy_budget",
    "release",
    "site_total",
]
