"""Every setting of the server, read once from the environment by typed readers.

Nothing here fails open: development mode, a switched-off check or a missing secret is an
explicit choice of the environment, and `project/checks.py` refuses the risky combinations.
Every variable is named and explained in `.env.example`. Append `_FILE` to a variable's name
to have its value read from that file (secrets).
"""

from __future__ import annotations

import hmac
from datetime import timedelta
from pathlib import Path
from typing import Any

from environs import FileAwareEnv, validate

from project.unfold_config import UNFOLD as UNFOLD
from project.version import VERSION as RELEASE

BASE_DIR = Path(__file__).resolve().parent.parent


class Environment(FileAwareEnv):
    def list(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """Items stand as they are meant: "a, b" holds no " b", and a comma at the end makes no empty item
        (which as a former secret key would let anybody sign sessions)."""
        items = super().list(*args, **kwargs)
        stripped = (item.strip() if isinstance(item, str) else item for item in items)
        return [item for item in stripped if item != ""]


env = Environment(strip_whitespace=True)
env.read_env(str(BASE_DIR / ".env"), recurse=False)

# --- Application -----------------------------------------------------------------------------

APP_NAME: str = env.str("APP_NAME", "DataFold")
VERSION: str = env.str("VERSION", RELEASE)
HOST: str = env.str("HOST", "127.0.0.1")
PORT: int = env.int("PORT", 8000)
DATA_DIR: Path = BASE_DIR / env.str("DATA_DIR", ".data")

DATAFOLD_DEVELOPMENT: bool = env.bool("DATAFOLD_DEVELOPMENT", False)
DEBUG: bool = env.bool("DEBUG", False)
SECRET_KEY: str = env.str("SECRET_KEY", validate=validate.Length(min=32))
SECRET_KEY_FALLBACKS: list[str] = env.list("SECRET_KEY_FALLBACKS", [])
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", [])

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "unfold.contrib.import_export",
    # Before Django's own: accounts' changepassword and createsuperuser take their place.
    "accounts.apps.AccountsConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "project.apps.AdminConfig",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "import_export",
    "axes",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "project.apps.ProjectConfig",
    "keys.apps.KeysConfig",
    "schemas.apps.SchemasConfig",
]

MIDDLEWARE = [
    "project.middleware.context.RequestContextMiddleware",
    "project.security.headers.SecurityHeadersMiddleware",
    "project.security.cors.CorsMiddleware",
    "project.middleware.nul.NulMiddleware",
    "project.middleware.body.BodyLimitMiddleware",
    "project.middleware.signing.ResponseSigningMiddleware",
    "project.middleware.forward_auth.ForwardAuthMiddleware",
    "project.security.scheme.TrustedProxyMiddleware",
    "project.security.inside.InsideNamesMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "accounts.authentication.middleware.OneSchemeMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.authentication.middleware.SecondFactorMiddleware",
    "axes.middleware.AxesMiddleware",
    "project.middleware.slash.TrailingSlashMiddleware",
]

ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
APPEND_SLASH = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    [
                        "project.security.nonces.NonceFilesystemLoader",
                        "project.security.nonces.NonceAppDirectoriesLoader",
                    ],
                )
            ],
            "context_processors": [
                "project.security.nonces.csp_nonce",
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# --- Parts: database, Redis, Celery, mail ------------------------------------------------------

SQLITE_OPTIONS: dict[str, Any] = {
    # IMMEDIATE takes the write lock when a transaction begins, so two workers queue for
    # it (`timeout` seconds) instead of one failing in the middle with "database is locked".
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    # Recursive triggers: INSERT OR REPLACE fires the triggers that refuse a DELETE, too.
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; "
    "PRAGMA recursive_triggers=ON;",
}

# A server that has vanished, without a word on the network, is given up after half a minute, or a whole one for
# an answer. How long a statement may take is `project.db.timeouts`' matter.
POSTGRES_OPTIONS: dict[str, Any] = {
    "connect_timeout": 5,
    "tcp_user_timeout": 30_000,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}

DATABASE_PGBOUNCER: bool = env.bool("DATABASE_PGBOUNCER", False)
DATABASE_STATEMENT_TIMEOUT_SECONDS: float = env.float(
    "DATABASE_STATEMENT_TIMEOUT_SECONDS", 30.0, validate=validate.Range(min=0)
)
DATABASES: dict[str, Any] = {
    "default": env.dj_db_url(
        "DATABASE_URL",
        f"sqlite:///{DATA_DIR / 'datafold.sqlite3'}",
        conn_max_age=env.int("DATABASE_CONN_MAX_AGE", 60),
        conn_health_checks=True,
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"].setdefault("OPTIONS", {}).update(SQLITE_OPTIONS)
else:
    DATABASES["default"].setdefault("OPTIONS", {})
    DATABASES["default"]["OPTIONS"] = {**POSTGRES_OPTIONS, **DATABASES["default"]["OPTIONS"]}
    # A pooler in transaction mode hands the next statement to another connection, which knows no cursor.
    DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = DATABASE_PGBOUNCER

DATABASE_REPLICA_URL: str = env.str("DATABASE_REPLICA_URL", "")
if DATABASE_REPLICA_URL:
    DATABASES["replica"] = {
        **env.dj_db_url("DATABASE_REPLICA_URL", conn_max_age=60, conn_health_checks=True),
        "DISABLE_SERVER_SIDE_CURSORS": True,
        "TEST": {"MIRROR": "default"},
    }
    DATABASES["replica"]["OPTIONS"] = {**POSTGRES_OPTIONS, **DATABASES["replica"].get("OPTIONS", {})}

REDIS_URL: str = env.str("REDIS_URL", "")
REDIS_TIMEOUT_SECONDS: float = env.float("REDIS_TIMEOUT_SECONDS", 1.0)
CACHES: dict[str, Any] = {
    "default": (
        {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL, "KEY_PREFIX": "df"}
        if REDIS_URL
        else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    )
}

CELERY_BROKER_URL: str = env.str("CELERY_BROKER_URL", REDIS_URL)
CELERY_TASK_ALWAYS_EAGER: bool = not CELERY_BROKER_URL
# Deliveries wait for strangers' receivers and files take as long as they are large, so each has a queue of its own, and
# may have workers of its own. A worker that names no queue takes all of them.
CELERY_TASK_QUEUES = {
    name: {"exchange": name, "routing_key": name} for name in ("celery", "deliveries", "files")
}
CELERY_TASK_ROUTES = {"accounts.tasks.*": {"queue": "deliveries"}, "schemas.tasks.*": {"queue": "files"}}
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_IGNORE_RESULT = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A broker that hangs holds up a request that queues something for seconds, not for ever.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 3600,
    "socket_connect_timeout": 2,
    "socket_timeout": 10,
    # Of one that is away a request learns at once; workers and beat try for ever by settings of their own.
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0,
}
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0.1}
CELERY_TIMEZONE = "UTC"

EMAIL_CONFIG: dict[str, Any] = env.dj_email_url("EMAIL_URL", "console:")
vars().update(EMAIL_CONFIG)
EMAIL_TIMEOUT: int = (
    EMAIL_CONFIG.get("EMAIL_TIMEOUT") or 20
)  # a mail server that hangs must not hold up the jobs
DEFAULT_FROM_EMAIL: str = env.str("DEFAULT_FROM_EMAIL", "datafold@localhost")

# --- DataFold ----------------------------------------------------------------------------------

DATAFOLD_SERVER_URL: str = env.str("DATAFOLD_SERVER_URL", "").rstrip("/")
DATAFOLD_PUBLIC_ORIGINS: list[str] = env.list(
    "DATAFOLD_PUBLIC_ORIGINS", [DATAFOLD_SERVER_URL] if DATAFOLD_SERVER_URL else []
)
DATAFOLD_TRUSTED_PROXIES: list[str] = env.list("DATAFOLD_TRUSTED_PROXIES", [])
DATAFOLD_CORS_ORIGINS: list[str] = env.list("DATAFOLD_CORS_ORIGINS", [])
DATAFOLD_FORWARD_AUTH_HOSTS: list[str] = env.list("DATAFOLD_FORWARD_AUTH_HOSTS", [])
DATAFOLD_CLIENT_ID: str = env.str("DATAFOLD_CLIENT_ID", "")
DATAFOLD_ENABLE_AUTH: bool = env.bool("DATAFOLD_ENABLE_AUTH", True)
DATAFOLD_REQUIRE_AUTH: bool = env.bool("DATAFOLD_REQUIRE_AUTH", True)
DATAFOLD_REGISTRATION_POLICY: str = env.str(
    "DATAFOLD_REGISTRATION_POLICY",
    "approval",
    validate=validate.OneOf(["approval", "open", "invite", "closed"]),
)
DATAFOLD_DEFAULT_PROFILE: str = env.str(
    "DATAFOLD_DEFAULT_PROFILE", "standard", validate=validate.OneOf(["strict", "standard", "lenient"])
)
DATAFOLD_DEFAULT_SCOPES: list[str] = env.list(
    "DATAFOLD_DEFAULT_SCOPES", ["schemas:read", "schemas:write", "keys:rotate"]
)
DATAFOLD_FOUR_EYES: bool = env.bool("DATAFOLD_FOUR_EYES", False)
DATAFOLD_KEY_LIFETIME_DAYS: int = env.int("DATAFOLD_KEY_LIFETIME_DAYS", 365, validate=validate.Range(min=1))
DATAFOLD_PENDING_LIFETIME_DAYS: int = env.int("DATAFOLD_PENDING_LIFETIME_DAYS", 30)
DATAFOLD_ROTATION_GRACE_SECONDS: int = env.int("DATAFOLD_ROTATION_GRACE_SECONDS", 86_400)
DATAFOLD_RETIRE_QUIET_MINUTES: int = env.int(
    "DATAFOLD_RETIRE_QUIET_MINUTES", 60, validate=validate.Range(min=0)
)
DATAFOLD_USAGE_DAYS: int = env.int("DATAFOLD_USAGE_DAYS", 90, validate=validate.Range(min=8))
DATAFOLD_REFUSAL_DAYS: int = env.int("DATAFOLD_REFUSAL_DAYS", 7, validate=validate.Range(min=1))
DATAFOLD_OPERATORS_EMAIL: list[str] = env.list("DATAFOLD_OPERATORS_EMAIL", [])
DATAFOLD_SUMMARY_HOUR: int = env.int("DATAFOLD_SUMMARY_HOUR", 6, validate=validate.Range(min=0, max=23))
DATAFOLD_SIGN_RESPONSES: bool = env.bool("DATAFOLD_SIGN_RESPONSES", False)
DATAFOLD_MAX_BODY_BYTES: int = env.int("DATAFOLD_MAX_BODY_BYTES", 1_048_576)
# `BodyLimitMiddleware` refuses first; Django's own limit is for whoever would read an upload into memory.
DATA_UPLOAD_MAX_MEMORY_SIZE: int = DATAFOLD_MAX_BODY_BYTES
DATAFOLD_READ_TIMEOUT_SECONDS: float = env.float(
    "DATAFOLD_READ_TIMEOUT_SECONDS", 30.0, validate=validate.Range(min=0.1)
)
DATAFOLD_REQUEST_TIMEOUT_SECONDS: float = env.float(
    "DATAFOLD_REQUEST_TIMEOUT_SECONDS", 60.0, validate=validate.Range(min=0.1)
)
DATAFOLD_REPLAY_FALLBACK: str = env.str(
    "DATAFOLD_REPLAY_FALLBACK", "refuse", validate=validate.OneOf(["refuse", "database"])
)
DATAFOLD_REPLAY_FALLBACK_SECONDS: float = env.float(
    "DATAFOLD_REPLAY_FALLBACK_SECONDS", 60.0, validate=validate.Range(min=1)
)
DATAFOLD_RATE_LIMIT_PER_MINUTE: int = env.int("DATAFOLD_RATE_LIMIT_PER_MINUTE", 6000)
DATAFOLD_ANONYMOUS_RATE: str = env.str("DATAFOLD_ANONYMOUS_RATE", "600/minute")
DATAFOLD_REGISTRATION_RATE: str = env.str("DATAFOLD_REGISTRATION_RATE", "60/minute")
DATAFOLD_VERIFY_RATE: str = env.str("DATAFOLD_VERIFY_RATE", "120/minute")
DATAFOLD_FAILURE_RATE: str = env.str("DATAFOLD_FAILURE_RATE", "120/minute")
DATAFOLD_METRICS_NETWORKS: list[str] = env.list("DATAFOLD_METRICS_NETWORKS", ["127.0.0.0/8", "::1/128"])
DATAFOLD_ENCRYPTION_KEYS: list[str] = env.list("DATAFOLD_ENCRYPTION_KEYS", [])
DATAFOLD_REFUSAL_LINES: bool = env.bool("DATAFOLD_REFUSAL_LINES", False)
DATAFOLD_DIRECTORY_TTL_SECONDS: float = env.float("DATAFOLD_DIRECTORY_TTL_SECONDS", 10.0)
DATAFOLD_DIRECTORY_SIZE: int = env.int("DATAFOLD_DIRECTORY_SIZE", 20_000)

DATAFOLD_COMPATIBILITY: str = env.str(
    "DATAFOLD_COMPATIBILITY",
    "BACKWARD",
    validate=validate.OneOf(
        [
            "NONE",
            "BACKWARD",
            "BACKWARD_TRANSITIVE",
            "FORWARD",
            "FORWARD_TRANSITIVE",
            "FULL",
            "FULL_TRANSITIVE",
        ]
    ),
)
DATAFOLD_COMPATIBILITY_POLICY: str = env.str(
    "DATAFOLD_COMPATIBILITY_POLICY", "exact", validate=validate.OneOf(["exact", "lenient"])
)
DATAFOLD_SCHEMA_CACHE_SECONDS: float = env.float("DATAFOLD_SCHEMA_CACHE_SECONDS", 2.0)
DATAFOLD_MAX_UPLOAD_BYTES: int = env.int("DATAFOLD_MAX_UPLOAD_BYTES", 1024**3)
DATAFOLD_UPLOAD_DAYS: int = env.int("DATAFOLD_UPLOAD_DAYS", 7)

_WEBHOOK_PORTS = [80, 443, 3000, 5000, 8000, 8080, 8443, 9000] if DATAFOLD_DEVELOPMENT else [443, 8443]
DATAFOLD_WEBHOOK_PORTS: list[int] = env.list("DATAFOLD_WEBHOOK_PORTS", _WEBHOOK_PORTS, subcast=int)
DATAFOLD_WEBHOOK_ALLOWED_NETWORKS: list[str] = env.list("DATAFOLD_WEBHOOK_ALLOWED_NETWORKS", [])
DATAFOLD_WEBHOOK_TIMEOUT_SECONDS: float = env.float(
    "DATAFOLD_WEBHOOK_TIMEOUT_SECONDS", 10.0, validate=validate.Range(min=0.1, max=25)
)
DATAFOLD_WEBHOOK_GIVE_UP_HOURS: float = env.float(
    "DATAFOLD_WEBHOOK_GIVE_UP_HOURS", 24.0, validate=validate.Range(min=0)
)
DATAFOLD_WEBHOOK_DISABLE_HOURS: float = env.float(
    "DATAFOLD_WEBHOOK_DISABLE_HOURS", 72.0, validate=validate.Range(min=0)
)
DATAFOLD_WEBHOOK_DAYS: int = env.int("DATAFOLD_WEBHOOK_DAYS", 30, validate=validate.Range(min=1))

SIGNATURE_CACHE_ENABLED: bool = env.bool("SIGNATURE_CACHE_ENABLED", True)
SIGNATURE_CACHE_TTL: int = env.int("SIGNATURE_CACHE_TTL", 300)
SIGNATURE_CACHE_SIZE: int = env.int("SIGNATURE_CACHE_SIZE", 1000)

# --- Operators ---------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AUTH_PASSWORD_VALIDATORS[1]["OPTIONS"] = {"min_length": 12}  # type: ignore[assignment]
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "admin:index"

DATAFOLD_REQUIRE_MFA: bool = env.bool("DATAFOLD_REQUIRE_MFA", False)
DATAFOLD_REQUIRE_SSO: bool = env.bool("DATAFOLD_REQUIRE_SSO", False)
DATAFOLD_LOGIN_ATTEMPTS: int = env.int("DATAFOLD_LOGIN_ATTEMPTS", 5, validate=validate.Range(min=1))
DATAFOLD_LOGIN_LOCK_MINUTES: int = env.int("DATAFOLD_LOGIN_LOCK_MINUTES", 15, validate=validate.Range(min=1))
DATAFOLD_LOGIN_RATE: str = env.str("DATAFOLD_LOGIN_RATE", "30/minute")
DATAFOLD_ACCESS_TOKEN_SECONDS: int = env.int(
    "DATAFOLD_ACCESS_TOKEN_SECONDS", 300, validate=validate.Range(min=30, max=3600)
)
DATAFOLD_REFRESH_TOKEN_SECONDS: int = env.int(
    "DATAFOLD_REFRESH_TOKEN_SECONDS", 8 * 3600, validate=validate.Range(min=300)
)
DATAFOLD_OIDC_NAME: str = env.str("DATAFOLD_OIDC_NAME", "Single sign-on")
DATAFOLD_OIDC_ISSUER: str = env.str("DATAFOLD_OIDC_ISSUER", "").rstrip("/")
DATAFOLD_OIDC_CLIENT_ID: str = env.str("DATAFOLD_OIDC_CLIENT_ID", "")
DATAFOLD_OIDC_CLIENT_SECRET: str = env.str("DATAFOLD_OIDC_CLIENT_SECRET", "")
DATAFOLD_OIDC_ROLE_CLAIM: str = env.str("DATAFOLD_OIDC_ROLE_CLAIM", "")
DATAFOLD_OIDC_ROLE_MAP: dict[str, str] = env.dict("DATAFOLD_OIDC_ROLE_MAP", {})

# django-axes: who fails too often is locked out, whichever way in they try.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT: int = DATAFOLD_LOGIN_ATTEMPTS
AXES_COOLOFF_TIME = timedelta(minutes=DATAFOLD_LOGIN_LOCK_MINUTES)
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_CLIENT_IP_CALLABLE = "accounts.authentication.lockout.lock_address"
AXES_USERNAME_CALLABLE = "accounts.authentication.lockout.lock_username"
AXES_LOCKOUT_CALLABLE = "accounts.authentication.lockout.lockout_response"
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
AXES_SENSITIVE_PARAMETERS = ["username", "login", "ip_address", "code", "credential", "oldpassword"]

# django-allauth: the pages of login, second factor and single sign-on.
ACCOUNT_ADAPTER = "accounts.authentication.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_UNIQUE_EMAIL = False
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "http" if DATAFOLD_DEVELOPMENT else "https"
# Per address; for one operator from all together: accounts.authentication.guesses. allauth abbreviates: 30/m.
_LOGIN_COUNT, _, _LOGIN_PERIOD = DATAFOLD_LOGIN_RATE.partition("/")
ACCOUNT_RATE_LIMITS = {
    "login": f"{_LOGIN_COUNT}/{_LOGIN_PERIOD.strip()[:1]}/ip" if DATAFOLD_LOGIN_RATE else "",
    "login_failed": "10/m/ip",
}
MFA_ADAPTER = "accounts.authentication.adapters.SecondFactorAdapter"
MFA_FORMS = {
    "authenticate": "accounts.authentication.forms.AuthenticateForm",
    "reauthenticate": "accounts.authentication.forms.ReauthenticateForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_ISSUER: str = APP_NAME
MFA_TOTP_TOLERANCE = 1
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_USER_VERIFICATION = "required"  # a passkey alone is both factors only if it checked its holder
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN: bool = DATAFOLD_DEVELOPMENT
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
SOCIALACCOUNT_ADAPTER = "accounts.authentication.adapters.SingleSignOnAdapter"
SOCIALACCOUNT_EMAIL_VERIFICATION = "none"
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_PROVIDERS: dict[str, Any] = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "sso",
                "name": DATAFOLD_OIDC_NAME,
                "client_id": DATAFOLD_OIDC_CLIENT_ID,
                "secret": DATAFOLD_OIDC_CLIENT_SECRET,
                "settings": {"server_url": DATAFOLD_OIDC_ISSUER},
            }
        ]
        if DATAFOLD_OIDC_ISSUER
        else [],
    }
}

# Operators' tokens. Their key is derived, so that no other signature of this server is ever one of theirs.
HEADLESS_JWT_ALGORITHM = "HS256"
HEADLESS_JWT_PRIVATE_KEY: str = hmac.digest(SECRET_KEY.encode(), b"datafold.operators.tokens", "sha256").hex()
HEADLESS_JWT_ACCESS_TOKEN_EXPIRES_IN: int = DATAFOLD_ACCESS_TOKEN_SECONDS
HEADLESS_JWT_REFRESH_TOKEN_EXPIRES_IN: int = DATAFOLD_REFRESH_TOKEN_SECONDS
HEADLESS_JWT_STATEFUL_VALIDATION_ENABLED = True
HEADLESS_JWT_ROTATE_REFRESH_TOKEN = True

SESSION_COOKIE_AGE: int = env.int("SESSION_COOKIE_AGE", 8 * 3600)
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", DATAFOLD_PUBLIC_ORIGINS)

# Plain http is a choice of development; everywhere else cookies are for TLS only.
SESSION_COOKIE_SECURE: bool = not DATAFOLD_DEVELOPMENT
CSRF_COOKIE_SECURE: bool = not DATAFOLD_DEVELOPMENT
SECURE_HSTS_SECONDS: int = env.int("SECURE_HSTS_SECONDS", 0 if DATAFOLD_DEVELOPMENT else 31_536_000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = not DATAFOLD_DEVELOPMENT
SECURE_HSTS_PRELOAD = not DATAFOLD_DEVELOPMENT
SECURE_SSL_REDIRECT: bool = env.bool("SECURE_SSL_REDIRECT", not DATAFOLD_DEVELOPMENT)
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# --- REST ----------------------------------------------------------------------------------------

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["keys.authentication.SignatureAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["project.api.permissions.IsSigned"],
    "DEFAULT_THROTTLE_CLASSES": ["keys.api.throttles.AnonymousThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["project.api.envelope.EnvelopeRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "project.api.negotiation.ContentNegotiation",
    "DEFAULT_PARSER_CLASSES": ["project.api.parsers.StrictJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "project.api.pagination.EnvelopeCursorPagination",
    "DEFAULT_SCHEMA_CLASS": "project.api.openapi.EnvelopeAutoSchema",
    "EXCEPTION_HANDLER": "project.api.errors.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "URL_FORMAT_OVERRIDE": None,  # `?format=` converts a schema version; the answer is always JSON
    "PAGE_SIZE": 50,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "DataFold API",
    "DESCRIPTION": (
        "Machines prove who they are by signing every request (RFC 9421). Every answer has the same envelope: "
        "`success`, `data`, `error`, `meta`. Every error code is explained in docs/errors.md."
    ),
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_SETTINGS": {
        "deepLinking": True,
        "validatorUrl": None,
    },  # else it asks a server on the internet
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "/redoc",  # project.security.redoc serves the bundle
    "PREPROCESSING_HOOKS": ["project.api.openapi.only_versioned_paths"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "project.api.common_refusals.add_common_refusals",
        "project.api.examples.add_request_examples",
        "project.api.plain_calls.add_plain_calls",
    ],
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "ENUM_NAME_OVERRIDES": {
        "CompatibilityModeEnum": "schemas.compatibility.MODES",
        "ProfileEnum": "accounts.models.Profile",
        "ClientStatusEnum": "accounts.models.ClientStatus",
        "KeyStatusEnum": "keys.models.KeyStatus",
        "RevocationReasonEnum": "keys.models.RevocationReason",
    },
}

# --- Admin ---------------------------------------------------------------------------------------

IMPORT_EXPORT_EXPORT_PERMISSION_CODE = "view"
IMPORT_EXPORT_SKIP_ADMIN_LOG = True

# --- Time, language, static files ----------------------------------------------------------------

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
FORMAT_MODULE_PATH = ["project.formats"]

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT: Path = BASE_DIR / env.str("STATIC_ROOT", str(DATA_DIR / "static"))
# In development files are found when they are asked for; else once, at the start.
WHITENOISE_USE_FINDERS: bool = DATAFOLD_DEVELOPMENT
WHITENOISE_AUTOREFRESH: bool = DATAFOLD_DEVELOPMENT
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "django.contrib.staticfiles.storage.StaticFilesStorage"
            if DATAFOLD_DEVELOPMENT
            else "whitenoise.storage.CompressedManifestStaticFilesStorage"
        )
    },
}

# --- Traces and crash reports: off unless named here -------------------------------------------------

SENTRY_DSN: str = env.str("SENTRY_DSN", "")
OTEL_EXPORTER_OTLP_ENDPOINT: str = env.str("OTEL_EXPORTER_OTLP_ENDPOINT", "")
DATAFOLD_TRACE_RATIO: float = env.float("DATAFOLD_TRACE_RATIO", 0.01, validate=validate.Range(min=0, max=1))
if OTEL_EXPORTER_OTLP_ENDPOINT:
    MIDDLEWARE.insert(1, "project.telemetry.TracingMiddleware")

# --- Logs ------------------------------------------------------------------------------------------

LOG_LEVEL: str = env.str("LOG_LEVEL", "INFO").upper()
LOG_FORMAT: str = env.str("LOG_FORMAT", "json", validate=validate.OneOf(["json", "text"]))
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_context": {"()": "project.logs.RequestContextFilter"}},
    "formatters": {
        "json": {"()": "project.logs.JsonFormatter"},
        "text": {"()": "project.logs.TextFormatter"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stderr",
            "formatter": LOG_FORMAT,
            "filters": ["request_context"],
        }
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "django.request": {"level": "ERROR"},  # refusals are in the access log; a crash needs its traceback
        # A refusal like any other; as Django logs it, each stranger's Host would be a crash with a traceback.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        "django.server": {"level": "WARNING"},
    },
}
