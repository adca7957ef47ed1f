#!/usr/bin/env bash
# init.sh: make the secrets of docker-compose.yml, once.
#
#   .env                         random passwords and keys, mode 0600
#   deploy/compose/secrets/keyring  the key file that all gateways share, mode 0600
#
# It never overwrites either: without the key file nothing that was stored can be
# opened, and a new password does not open an old database.
#
# The key file is made by a gateway: the program named by GATEWAY, or bin/gateway,
# or one that Go builds, or the image.
set -euo pipefail
cd "$(dirname "$0")/../.."
umask 077
secrets=deploy/compose/secrets

for file in .env "$secrets/keyring"; do
	if [[ -e $file ]]; then
		echo "init: $file is there already and stays as it is" >&2
		exit 1
	fi
done

# hex N: N random bytes in hexadecimal digits, which need no quoting anywhere.
hex() { head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

# The gateways run as whoever owns the key file, and never as root.
uid=$(id -u) gid=$(id -g)
if ((uid == 0)); then
	uid=65532 gid=65532
fi

make_key() {
	local path=$PWD/$secrets/keyring
	if [[ -n ${GATEWAY-} ]]; then
		"$GATEWAY" keyring create --keyring-path "$path"
	elif [[ -x bin/gateway ]]; then
		bin/gateway keyring create --keyring-path "$path"
	elif command -v go >/dev/null; then
		go run ./cmd/gateway keyring create --keyring-path "$path"
	else
		docker build -q -t sanctum-gateway:local . >/dev/null
		docker run --rm --user "$(id -u):$(id -g)" -v "$PWD/$secrets:/keys" sanctum-gateway:local \
			keyring create --keyring-path /keys/keyring
	fi
}

mkdir -p "$secrets"
make_key >&2
if ((EUID == 0)); then
	chown "$uid:$gid" "$secrets/keyring"
fi

# Written beside and linked, so that a half-written file is never taken for whole
# and one that has appeared meanwhile is not replaced.
cat >.env.new <<END
# Made by deploy/compose/init.sh. Keep it, and keep it to yourself.
GATEWAY_UID=$uid
GATEWAY_GID=$gid
S3_ACCESS_KEY=ROOT$(hex 8 | tr a-f A-F)
S3_SECRET_KEY=$(hex 20)
POSTGRES_PASSWORD=$(hex 24)
STORAGE_ACCESS_KEY=STORE$(hex 8 | tr a-f A-F)
STORAGE_SECRET_KEY=$(hex 20)
REDIS_PASSWORD=$(hex 24)
GRAFANA_PASSWORD=$(hex 12)
END
ln .env.new .env
rm .env.new
echo "init: made .env and $secrets/keyring; keep a copy of the key file apart from the storage" >&2
