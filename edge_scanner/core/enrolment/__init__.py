"""What box, bench and headquarters say to each other when a box gets its identity."""
