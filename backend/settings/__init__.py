"""Django settings, read from the environment (docs/configuration.md lists every variable), by subject."""

from backend.settings.api import *
from backend.settings.applications import *
from backend.settings.crm import *
from backend.settings.database import *
from backend.settings.environment import *
from backend.settings.files import *
from backend.settings.logs import *
from backend.settings.messages import *
from backend.settings.security import *
from backend.settings.valkey import *
