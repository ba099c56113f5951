"""Runs on the technician's laptop: identities, the bench, labels, revocation."""
