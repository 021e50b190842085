"""Exchange rates of days, and amounts of several currencies as one."""
