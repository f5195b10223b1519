"""Endpoints: programs that serve, what keeps them alive, and the way of a request to one of them."""
