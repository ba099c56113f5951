"""The technician's table: batches, boxes, cards and labels on a laptop without internet."""
