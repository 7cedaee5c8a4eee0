# One image for every Airflow component; docker-compose.yaml says which one a container is.
FROM python:3.11-slim-bookworm

# libgomp1: OpenMP, which scikit-learn's and implicit's wheels are linked against.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libgomp1 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 50000 --create-home --shell /usr/sbin/nologin regulars

WORKDIR /opt/regulars

COPY requirements.txt .
RUN pip install --no-cache-dir --require-hashes --requirement requirements.txt

COPY pyproject.toml .
COPY dags dags
COPY plugins plugins
COPY config config
COPY include include

# Named volumes take over the owner of the folder they are mounted on.
RUN mkdir logs state airflow && chown regulars: logs state airflow

ENV AIRFLOW_HOME=/opt/regulars/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/regulars/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/regulars/plugins \
    AIRFLOW__LOGGING__BASE_LOG_FOLDER=/opt/regulars/logs \
    REGULARS_HOME=/opt/regulars/state \
    PYTHONPATH=/opt/regulars \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OPENBLAS_NUM_THREADS=1 \
    OMP_NUM_THREADS=1 \
    GX_ANALYTICS_ENABLED=false

USER regulars
