"""The box's side of the central broker: what it sends, and what it lets itself be told."""
