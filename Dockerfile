# One image for all roles: Python, git, OpenSSH's client, helm and kustomize; nothing runs as root.
#   docker build -t tiphys:0.1.0 .
# tini takes what tools leave behind when they are killed: without it each one stays as a zombie of PID 1.
# helm and kustomize are built as for the tests: tests/controlplane/versions.py (a test compares).
ARG PYTHON=3.11

FROM golang:1.26 AS tools
ARG HELM=4.2.4
ARG KUSTOMIZE=5.8.1
ENV CGO_ENABLED=0
RUN go install -ldflags "-s -w -X helm.sh/helm/v4/internal/version.version=v${HELM} -X helm.sh/helm/v4/pkg/chart/common.k8sVersionMajor=1 -X helm.sh/helm/v4/pkg/chart/common.k8sVersionMinor=36" helm.sh/helm/v4/cmd/helm@v${HELM}
RUN go install -ldflags "-s -w -X sigs.k8s.io/kustomize/api/provenance.version=v${KUSTOMIZE}" sigs.k8s.io/kustomize/kustomize/v5@v${KUSTOMIZE}

FROM python:${PYTHON}-slim AS package
WORKDIR /src
COPY requirements/run.txt requirements/build.txt requirements/
RUN python -m venv /opt/tiphys
RUN /opt/tiphys/bin/python -m pip install --no-cache-dir --require-hashes -r requirements/run.txt
RUN python -m venv /opt/build
RUN /opt/build/bin/python -m pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
RUN /opt/build/bin/python -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /tmp/wheels .
RUN /opt/tiphys/bin/python -m pip install --no-cache-dir --no-deps --no-index /tmp/wheels/*.whl

FROM python:${PYTHON}-slim
RUN apt-get update && apt-get install -y --no-install-recommends git git-lfs openssh-client gnupg tini && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 999 argocd && useradd --uid 999 --gid 999 --create-home --home-dir /home/argocd argocd
COPY --from=tools /go/bin/helm /go/bin/kustomize /usr/local/bin/
COPY --from=package /opt/tiphys /opt/tiphys
ENV PATH=/opt/tiphys/bin:$PATH PYTHONUNBUFFERED=1
USER 999:999
WORKDIR /home/argocd
ENTRYPOINT ["/usr/bin/tini", "--", "tiphys"]
CMD ["run"]
