"""Sends to `serve` what nobody should send, and says what made it fail: `make fuzz`."""
