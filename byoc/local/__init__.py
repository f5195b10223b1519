"""The stand-ins for AWS that run on this machine."""
