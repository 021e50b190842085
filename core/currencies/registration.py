"""What exchange rates register at start-up."""

from core.api import routes
from core.currencies import tasks  # noqa: F401  (tasks are asked for by name)
from core.currencies.api.views import ExchangeRateViewSet
from core.currencies.demo import add_rates
from core.demo import demo_parts

routes.register("exchange_rates", ExchangeRateViewSet)
demo_parts.register("exchange rates", add_rates)
