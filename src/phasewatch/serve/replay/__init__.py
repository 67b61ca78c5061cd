"""A stored episode played at any speed, or a machine that runs now, as the page shows it."""
