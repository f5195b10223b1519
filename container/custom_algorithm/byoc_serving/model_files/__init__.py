"""Model files that are served without the user's code: what each is, who loads it, how it predicts."""
