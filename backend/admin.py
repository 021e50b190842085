"""The admin pages of core's features. Django imports this module to find them; each stands in its `admin.py`.

Entity apps' `admin.py` are found by Django itself.
"""

from core.features import FEATURES, import_room

for feature in FEATURES:
    import_room(feature, "admin")
