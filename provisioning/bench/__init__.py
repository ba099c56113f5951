"""The technician's laptop without internet: batches, the provisioning bench, boxes, cards and labels."""

__all__ = ["batch"]
