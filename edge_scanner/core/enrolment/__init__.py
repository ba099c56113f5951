"""What box, bench and headquarters say to each other when a box gets its identity."""

__all__ = ["box_list", "device_id", "documents", "fingerprints", "proofs", "rendezvous"]
