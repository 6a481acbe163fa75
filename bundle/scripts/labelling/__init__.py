"""A page to label patches on, what to label next."""
