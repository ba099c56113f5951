"""The box's side of the central broker: what it sends, and what it lets itself be told."""

__all__ = ["centre_time", "downlink", "outbox", "pull", "recipient_sets", "revocations", "trail"]
