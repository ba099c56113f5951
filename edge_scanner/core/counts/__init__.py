"""How many devices, released with noise: estimator, admission, noise, budget, and the word for the screen."""
