#!/usr/bin/env bash
# raysonde on a Kubernetes of this machine.
set -euo pipefail

readonly PROFILE="${MINIKUBE_PROFILE:-raysonde}"
readonly CPUS="${MINIKUBE_CPUS:-4}" MEMORY="${MINIKUBE_MEMORY:-12g}"
readonly NAMESPACE=raysonde OPERATOR_VERSION=1.7.0 MONITORING_VERSION=75.6.1
readonly MODELS_TIMEOUT_S=10800 START_TIMEOUT=30m
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VERSION="$(sed -n 's/^version = "\(.*\)"$/\1/p' "$ROOT/pyproject.toml")"
readonly ROOT VERSION IMAGE="docker.io/library/raysonde:$VERSION"

usage() {
    cat <<'END'
usage: kuberay/minikube.sh COMMAND

  up [--monitoring]  start Minikube, build and load the image, install KubeRay's operator, apply
                     kuberay/overlays/minikube, and wait until it answers (the first time half an hour: it trains);
                     with --monitoring, Prometheus, Alertmanager and Grafana too
  smoke              ask the running system: health, a prediction, a truth, and that it wants its key
  forward            the API at 127.0.0.1:8000, Ray's dashboard at :8265, MLflow at :5000, until Ctrl-C
  key                print the key of the API
  token              print the token of Ray's dashboard and of Ray's own commands, such as `serve status`
  down [--delete]    take raysonde away, its volumes too; with --delete the whole Minikube profile

Variables: MINIKUBE_PROFILE=raysonde MINIKUBE_CPUS=4 MINIKUBE_MEMORY=12g, and those of `make image`

Examples:
  kuberay/minikube.sh up
  kuberay/minikube.sh smoke
  kuberay/minikube.sh forward &
  curl -H "Authorization: Bearer $(kuberay/minikube.sh key)" http://127.0.0.1:8000/calories/info
  kuberay/minikube.sh down --delete
END
}

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }

fail() {
    printf 'minikube.sh: %s\n' "$*" >&2
    exit 1
}

need() {
    local tool missing=()
    for tool in "$@"; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    ((${#missing[@]} == 0)) || fail "not installed: ${missing[*]} (docs/how-to/run-on-minikube.md says where to get them)"
}

engine() {
    command -v docker >/dev/null && { echo docker; return; }
    command -v podman >/dev/null && { echo podman; return; }
    fail "not installed: docker or podman, to build the image"
}

kube() { kubectl --context "$PROFILE" --namespace "$NAMESPACE" "$@"; }

start_minikube() {
    say "Minikube ($CPUS CPUs, $MEMORY)"
    # Calico: the network of the default enforces no policies
    minikube --profile "$PROFILE" status >/dev/null 2>&1 ||
        minikube --profile "$PROFILE" start --cpus "$CPUS" --memory "$MEMORY" --cni calico --addons ingress
}

load_image() {
    local builder
    builder="$(engine)"
    say "Image $IMAGE, built by $builder"
    make --directory "$ROOT" --no-print-directory image ENGINE="$builder" IMAGE="$IMAGE"
    "$builder" save --output "$SCRATCH/image.tar" "$IMAGE"
    minikube --profile "$PROFILE" image load "$SCRATCH/image.tar"
}

install_operator() {
    say "KubeRay's operator $OPERATOR_VERSION"
    helm --kube-context "$PROFILE" upgrade --install kuberay-operator kuberay-operator \
        --repo https://ray-project.github.io/kuberay-helm/ --version "$OPERATOR_VERSION" \
        --namespace kuberay-system --create-namespace --wait
}

install_monitoring() {
    say "Prometheus, Alertmanager and Grafana"
    helm --kube-context "$PROFILE" upgrade --install monitoring kube-prometheus-stack \
        --repo https://prometheus-community.github.io/helm-charts --version "$MONITORING_VERSION" \
        --namespace monitoring --create-namespace --wait \
        --set prometheus.prometheusSpec.podMonitorSelectorNilUsesHelmValues=false \
        --set prometheus.prometheusSpec.ruleSelectorNilUsesHelmValues=false \
        --set prometheus.prometheusSpec.scrapeConfigSelectorNilUsesHelmValues=false \
        --set grafana.sidecar.dashboards.searchNamespace=ALL
    kube apply --server-side --kustomize "$ROOT/kuberay/monitoring"
}

# secret NAME KEY=VALUE...: made once, and left alone if it is there
secret() {
    local name="$1" pair literals=()
    shift
    for pair in "$@"; do literals+=("--from-literal=$pair"); done
    kube get secret "$name" >/dev/null 2>&1 || kube create secret generic "$name" "${literals[@]}"
}

make_secrets() {
    say "Secrets, random ones"
    local password at=raysonde-postgres:5432
    kube apply --server-side --filename "$ROOT/kuberay/base/namespace.yaml"
    password="$(openssl rand -hex 32)"
    secret raysonde-database "password=$password" \
        "store-url=postgresql+psycopg://raysonde:$password@$at/raysonde" \
        "registry-url=postgresql+psycopg://raysonde:$password@$at/mlflow"
    secret raysonde-redis "password=$(openssl rand -hex 32)"
    secret raysonde-ray "auth_token=$(openssl rand -hex 32)"
    secret raysonde-api "key=$(openssl rand -hex 32)"
    make_certificate
}

make_certificate() {
    ! kube get secret raysonde-tls >/dev/null 2>&1 || return 0
    openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=raysonde.local \
        -addext subjectAltName=DNS:raysonde.local -keyout "$SCRATCH/key" -out "$SCRATCH/crt" 2>/dev/null
    kube create secret tls raysonde-tls --key "$SCRATCH/key" --cert "$SCRATCH/crt"
}

wait_for_it() {
    say "Waiting for PostgreSQL, Redis and MLflow"
    kube rollout status statefulset/raysonde-postgres --timeout "$START_TIMEOUT"
    kube rollout status statefulset/raysonde-redis --timeout "$START_TIMEOUT"
    kube rollout status deployment/raysonde-mlflow --timeout "$START_TIMEOUT"
    say "Waiting for the first models"
    wait_for_models
    say "Waiting for the service"
    kube wait rayservice/raysonde --for=condition=Ready --timeout "$START_TIMEOUT"
}

wait_for_models() {
    local state deadline=$((SECONDS + MODELS_TIMEOUT_S))
    while ((SECONDS < deadline)); do
        state="$(kube get rayjob raysonde-bootstrap --output 'jsonpath={.status.jobDeploymentStatus}')"
        case "$state" in
            Complete) return ;;
            *Failed) fail "the first training failed: kubectl --namespace $NAMESPACE describe rayjob raysonde-bootstrap" ;;
        esac
        sleep 5
    done
    fail "no models within $((MODELS_TIMEOUT_S / 60)) minutes"
}

up() {
    local with_monitoring=''
    case "${1:-}" in
        --monitoring) with_monitoring=yes ;;
        '') ;;
        *) fail "up: got $1, expected --monitoring or nothing" ;;
    esac
    need minikube kubectl helm openssl curl make
    engine >/dev/null
    SCRATCH="$(mktemp --directory)"
    trap 'rm -rf "$SCRATCH"' EXIT
    start_minikube
    load_image
    install_operator
    make_secrets
    say "Manifests"
    # server-side: an annotation with all of a dashboard would be too long
    kube apply --server-side --kustomize "$ROOT/kuberay/overlays/minikube"
    [[ -z "$with_monitoring" ]] || install_monitoring
    wait_for_it
    say "It runs: kuberay/minikube.sh smoke, kuberay/minikube.sh forward"
}

# value SECRET FIELD
value() {
    need kubectl base64
    kube get secret "$1" --output "jsonpath={.data.$2}" | base64 --decode
}

key() { value raysonde-api key; }

token() { value raysonde-ray auth_token; }

# expect CODE WHAT CURL_ARGUMENTS...: ask, and end when the answer has another status
expect() {
    local wanted="$1" what="$2" got
    shift 2
    got="$(curl --silent --show-error --max-time 30 --output /dev/null --write-out '%{http_code}' "$@")" || true
    [[ "$got" == "$wanted" ]] || fail "smoke: $what: got ${got:-no answer}, expected $wanted"
    say "$what: $got"
}

smoke() {
    local port=18000 url id forward authorization
    need kubectl curl base64
    authorization="Authorization: Bearer $(key)"
    url="http://127.0.0.1:$port" id="smoke-$(date +%s)"
    kube port-forward service/raysonde-serve-svc "$port:8000" >/dev/null &
    forward=$!
    # shellcheck disable=SC2064  # its number is known now
    trap "kill $forward 2>/dev/null || true" EXIT
    # until the forward is there
    curl --silent --output /dev/null --retry 20 --retry-connrefused --retry-delay 1 "$url/-/healthz" ||
        fail "smoke: nothing answers at $url"
    expect 401 "without the key" "$url/calories/info"
    expect 200 "health" --header "$authorization" "$url/healthz"
    expect 200 "a prediction" --header "$authorization" --json "{\"id\": \"$id\", \"Sex\": \"male\", \"Age\": 31,
        \"Height\": 180, \"Weight\": 80, \"Duration\": 20, \"Heart_Rate\": 105, \"Body_Temp\": 40.2}" \
        "$url/calories/predict"
    expect 202 "its truth" --header "$authorization" --json "{\"id\": \"$id\", \"truth\": {\"Calories\": 110}}" \
        "$url/calories/feedback"
}

forward() {
    need kubectl
    local head
    head="$(kube get rayservice raysonde --output 'jsonpath={.status.activeServiceStatus.rayClusterName}')-head-svc"
    trap 'kill 0' EXIT
    kube port-forward service/raysonde-serve-svc 8000:8000 &
    kube port-forward "service/$head" 8265:8265 &
    kube port-forward service/raysonde-mlflow 5000:5000 &
    wait
}

down() {
    need kubectl minikube
    if [[ "${1:-}" == --delete ]]; then
        minikube --profile "$PROFILE" delete
        return
    fi
    [[ -z "${1:-}" ]] || fail "down: got $1, expected --delete or nothing"
    # first, while Redis is there for what KubeRay clears up after a cluster
    kube delete rayservice/raysonde rayjob/raysonde-bootstrap --ignore-not-found --timeout 10m
    kube wait raycluster --all --for=delete --timeout 10m
    kubectl --context "$PROFILE" delete namespace "$NAMESPACE" --ignore-not-found --timeout 10m
}

main() {
    case "${1:-}" in
        up | smoke | forward | key | token | down) "$@" ;;
        -h | --help | help) usage ;;
        *)
            usage >&2
            exit 2
            ;;
    esac
}

main "$@"
