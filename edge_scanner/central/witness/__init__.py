"""The witness of the boxes' logs: every tree head extends the one before, or a person is told and nothing is signed."""

__all__ = ["cosignature", "evidence", "follow", "follower", "testimony"]
