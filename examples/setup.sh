#!/bin/sh
# Makes what examples/countersign.yaml names, in this folder: the master key, the clients' secrets, the key pairs of the
# service and the bank, and the bank's certificate. It makes only what is not there. Wants openssl, and the countersign
# binary (COUNTERSIGN, or ./countersign).
set -eu
binary=${COUNTERSIGN:-./countersign}
if [ ! -x "$binary" ]; then
	echo "setup.sh: there is no $binary. Build it first, in the repository's root, and run this from there:" >&2
	echo "  CGO_ENABLED=0 go build -o countersign ./cmd/countersign" >&2
	exit 1
fi
if ! command -v openssl >/dev/null; then
	echo "setup.sh: openssl is not installed; it makes the secrets" >&2
	exit 1
fi
binary=$(realpath "$binary")
cd "$(dirname "$0")"
umask 077
made=

if [ ! -e master.key ]; then
	"$binary" key new-master --out master.key >/dev/null
	made="$made master.key"
fi
for name in todo-web todo-bff todo-api; do
	[ -e "$name.secret" ] && continue
	openssl rand -hex 32 >"$name.secret"
	made="$made $name.secret"
done
if [ ! -e provider.secret ]; then
	echo stand-in-secret >provider.secret # what examples/provider expects
	made="$made provider.secret"
fi

# docs/service.md explains this.
if [ ! -e nightly.pem ]; then
	openssl genpkey -algorithm ed25519 -out nightly.pem
	x=$(openssl pkey -in nightly.pem -pubout -outform DER | tail -c 32 | openssl base64 -A | tr '+/' '-_' | tr -d '=')
	printf '{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"1","x":"%s"}]}\n' "$x" >nightly.jwks
	made="$made nightly.pem nightly.jwks"
fi

# docs/fapi.md explains these: the key the bank signs with, and the certificate of its site.
if [ ! -e bank.pem ]; then
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out bank.pem 2>/dev/null
	b64() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
	point() { openssl pkey -in bank.pem -pubout -outform DER | tail -c 64; }
	x=$(point | head -c 32 | b64)
	y=$(point | tail -c 32 | b64)
	printf '{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","kid":"1","x":"%s","y":"%s"}]}\n' "$x" "$y" >bank.jwks
	made="$made bank.pem bank.jwks"
fi
if [ ! -e bank-tls.pem ]; then
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -keyout bank-tls-key.pem -out bank-tls.pem \
		-subj "/CN=127.0.0.1" -addext "subjectAltName=IP:127.0.0.1" -addext "basicConstraints=critical,CA:FALSE" 2>/dev/null
	made="$made bank-tls-key.pem bank-tls.pem"
fi

if [ -n "$made" ]; then
	echo "made in $(pwd):$made"
else
	echo "everything is there already, in $(pwd)"
fi
echo "next, from the repository's root, each in a terminal of its own:"
echo "  go run ./examples/provider"
echo "  ./countersign serve --config examples/countersign.yaml"
