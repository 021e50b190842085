"""Talking to machines of others: which addresses may be spoken to, how, and with whose signature."""
