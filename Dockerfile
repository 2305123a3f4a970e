# syntax=docker/dockerfile:1

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /app
COPY requirements.txt ./
RUN pip install --require-hashes --requirement requirements.txt
COPY sdk ./sdk
RUN pip install --no-deps --no-build-isolation ./sdk && rm -r sdk
COPY . .
# Static files are collected with settings that exist only here; the image keeps no secret.
RUN rm -rf sdk && SECRET_KEY=only-while-static-files-are-collected DATA_DIR=/tmp/build STATIC_ROOT=/app/staticfiles \
    python manage.py collectstatic --no-input --verbosity 0 \
    && python -m compileall -q accounts keys schemas project

FROM python:3.13-slim
RUN groupadd --system --gid 10001 datafold \
    && useradd --system --uid 10001 --gid datafold --home-dir /nonexistent --shell /usr/sbin/nologin datafold \
    && install --directory --owner datafold --group datafold --mode 0700 /data
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
# Everything else is in .env.example. Nothing is written but DATA_DIR and the temporary folder, so
# `docker run --read-only --tmpfs /tmp` works.
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 \
    PORT=8000 \
    DATA_DIR=/data \
    STATIC_ROOT=/app/staticfiles
USER datafold
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-m", "project.healthcheck"]
# Migrations are a step of their own: docker run … python manage.py migrate
CMD ["gunicorn", "--config", "gunicorn.conf.py", "project.wsgi:application"]
