#!/bin/sh
# Makes what examples/countersign.yaml names, in this folder: the master key, the clients' secrets and the key pair of the
# service. It makes only what is not there. Wants openssl, and the countersign binary (COUNTERSIGN, or ./countersign).
set -eu
binary=$(realpath "${COUNTERSIGN:-./countersign}")
cd "$(dirname "$0")"
umask 077

[ -e master.key ] || "$binary" key new-master --out master.key
for name in todo-web todo-bff todo-api; do
	[ -e "$name.secret" ] || openssl rand -hex 32 >"$name.secret"
done
echo stand-in-secret >provider.secret # what examples/provider expects

# docs/service.md explains this.
if [ ! -e nightly.pem ]; then
	openssl genpkey -algorithm ed25519 -out nightly.pem
	x=$(openssl pkey -in nightly.pem -pubout -outform DER | tail -c 32 | openssl base64 -A | tr '+/' '-_' | tr -d '=')
	printf '{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"1","x":"%s"}]}\n' "$x" >nightly.jwks
fi
