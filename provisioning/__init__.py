"""Runs at headquarters and on the technician's laptop: fleet, batches, bench, labels, cards, revocation."""
