"""The laptop's half of the toolkit: runs container programs, embeds AWS on loopback, and rehearses."""
