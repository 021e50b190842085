"""Events outwards: who subscribes to what, and deliveries that are signed, retried and logged.

events.py     names of events, and which changes they are
consuming.py  changes → deliveries
sending.py    deliveries → requests
operations.py secrets, redelivery, switching on again
"""
