"""Where this process runs: its environment, data folder, keys and addresses."""

from backend.development.embedded.services import Services, data_folder
from backend.env import BASE_DIR, Env, load_dotenv

load_dotenv(BASE_DIR / ".env")
env = Env()

DATA_DIR = data_folder(BASE_DIR, env)
embedded = Services(DATA_DIR, env)

# A database of one's own means business: nothing but the embedded servers makes a development machine by
# itself.
ENVIRONMENT = env.choice(
    "CRM_ENV", ["development", "production"], "production" if env.is_set("DATABASE_URL") else "development"
)
PRODUCTION = ENVIRONMENT == "production"
DEBUG = env.flag("DEBUG", False)

LOOPBACK_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
SECRET_KEY = env.text("SECRET_KEY") if PRODUCTION else env.text("SECRET_KEY", embedded.secret_key())
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS", [])
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", [] if PRODUCTION else LOOPBACK_HOSTS)
PUBLIC_URL = env.url("PUBLIC_URL", ["http", "https"], f"http://127.0.0.1:{env.integer('CRM_WEB_PORT', 8000)}")
