#!/usr/bin/env bash
# setup.sh GROUP: make this machine ready for a group of make targets.
#
#   go       build and run: Go alone
#   test     make test: Python with boto3 and cryptography, aws-cli, Node with the AWS SDK,
#            PostgreSQL 15 and 18, PgBouncer, HAProxy, Redis, versitygw, fake-gcs-server, local-kms, SQLite's shell, rsync, rclone
#   clients  make test-clients: test, and s3cmd, restic, s3fs, curl, nginx, iproute2, Helm, mc, Litestream,
#            docker-registry and distribution with skopeo, VictoriaMetrics, Prometheus, pgBackRest, barman-cloud, samtools, GDAL,
#            duplicity, S3 for Ruby and Perl, s4cmd, smart_open, Libcloud, Hugo, clients for Node,
#            tusd, the tests of libraries for Go, git-annex, aptly, s3backer, nbdkit, django-storages
#   clients-more
#            make test-clients-more: test, FUSE and rclone of today
#   race     make test-race: test, and a C compiler
#   pkcs11   make test-hsm: SoftHSM with Python's binding, and a C compiler
#   peers    make test-peers: MinIO
#
# It looks before it installs, so it takes a moment when all is there. Missing
# Debian packages are installed where this user may; else one line names them.
# Nothing that is installed is ever removed to make room: apt-get fails instead.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()

# need PACKAGE COMMAND…: the package is missing unless the command succeeds.
need() {
	local package=$1
	shift
	"$@" >/dev/null 2>&1 || missing+=("$package")
}

# The tests use Debian's own Python and aws-cli, whatever comes first in PATH.
python_has() { /usr/bin/python3 -c "import $1"; }

need_for_test() {
	need ca-certificates test -e /etc/ssl/certs/ca-certificates.crt
	need python3 test -x /usr/bin/python3
	need python3-boto3 python_has boto3
	need python3-cryptography python_has cryptography
	need python3-argon2 python_has argon2
	need awscli test -x /usr/bin/aws
	# For npm: where Debian's Node is too old for the AWS SDK, the lock file of the
	# tests has a later one.
	need nodejs command -v node
	need npm command -v npm
	need curl command -v curl
	need postgresql has_postgres
	need pgbouncer test -x /usr/sbin/pgbouncer
	need haproxy test -x /usr/sbin/haproxy
	need redis-server command -v redis-server
	need systemd command -v systemd-analyze
	need sqlite3 command -v sqlite3
	need rsync command -v rsync
	need rclone command -v rclone
}

# The tests start servers of their own; Debian's packages only bring the programs.
has_postgres() { command -v initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb'; }

# s3fs brings fuse or lives with fuse3, of which each replaces the other: whichever
# this machine has stays.
need_fuse() {
	command -v fusermount >/dev/null || need fuse3 command -v fusermount3
}

need_for_clients() {
	need_for_test
	need prometheus command -v promtool
	need s3cmd command -v s3cmd
	need restic command -v restic
	need s3fs command -v s3fs
	need_fuse
	need nginx-light test -x /usr/sbin/nginx
	need iproute2 command -v ip
	need docker-registry command -v docker-registry
	need skopeo command -v skopeo
	need pgbackrest command -v pgbackrest
	need barman-cli-cloud command -v barman-cloud-backup
	need samtools command -v samtools
	need gdal-bin command -v gdal_translate
	need python3-gdal python_has osgeo.gdal
	need duplicity test -x /usr/bin/duplicity
	need hugo test -x /usr/bin/hugo
	need ruby test -x /usr/bin/ruby
	need ruby-aws-sdk-s3 /usr/bin/ruby -e 'require "aws-sdk-s3"'
	need ruby-activestorage /usr/bin/ruby -e 'require "active_storage"'
	need s4cmd test -x /usr/bin/s4cmd
	need python3-smart-open python_has smart_open
	need python3-libcloud python_has libcloud
	need python3-django-storages-boto3 test -e /usr/lib/python3/dist-packages/storages/backends/s3boto3.py
	need git command -v git
	need git-annex command -v git-annex
	need aptly command -v aptly
	need gnupg command -v gpg
	need s3backer command -v s3backer
	need nbdkit-plugin-python compgen -G '/usr/lib/*/nbdkit/plugins/nbdkit-S3-plugin'
	need libnbd-bin command -v nbdcopy
	need python3-libnbd command -v nbdsh
	need libamazon-s3-perl /usr/bin/perl -MAmazon::S3 -e 1
	need libnet-amazon-s3-perl /usr/bin/perl -MNet::Amazon::S3 -e 1
}

install_missing() {
	((${#missing[@]})) || return 0
	local hint="apt-get install ${missing[*]}"
	if ! command -v apt-get >/dev/null; then
		echo "setup: missing: ${missing[*]} (names of Debian packages); install them and run this again" >&2
		exit 1
	elif ((EUID != 0)); then
		echo "setup: missing: ${missing[*]}; run as root: $hint" >&2
		exit 1
	fi
	echo "setup: $hint" >&2
	export DEBIAN_FRONTEND=noninteractive
	local apt=(apt-get -qq -o DPkg::Lock::Timeout=300)
	"${apt[@]}" update >&2
	"${apt[@]}" install -y --no-remove --no-install-recommends "${missing[@]}" >&2
}

# install_node_modules brings what the lock files of the Node tests name, but for that
# of the clients of make test-clients, which is large: it is brought by its name.
install_node_modules() {
	local lock dir
	while IFS= read -r lock; do
		dir=$(dirname "$lock")
		if [[ ! $dir/node_modules/.package-lock.json -nt $lock ]]; then
			echo "setup: npm ci in $dir" >&2
			npm ci --prefix "$dir" --no-audit --no-fund --loglevel=error >&2
			touch "$dir/node_modules/.package-lock.json"
		fi
	done < <(git ls-files '*package-lock.json' | grep -v /jsmore/; printf '%s' "${1:+$1$'\n'}")
}

# install_servers builds the servers in Go that the tests run, into bin/servers.
install_servers() { go run ./internal/servers/install "$@"; }

# compile_suites has the tests of other Go libraries in the build cache, so that no
# test waits for their compiler.
compile_suites() { go -C internal/clienttest/suites test -c -o /dev/null .; }

if ! command -v go >/dev/null; then
	echo "setup: Go is missing: install Go 1.26 or later from https://go.dev/dl/ and put it in PATH" >&2
	exit 1
fi
case ${1-} in
go) ;;
test)
	need_for_test
	install_missing
	install_node_modules
	install_servers versitygw fake-gcs-server local-kms
	;;
clients)
	need_for_clients
	install_missing
	install_node_modules internal/clienttest/jsmore/package-lock.json
	install_servers versitygw fake-gcs-server local-kms helm mc litestream tusd registry s3-aws.test \
		victoria-metrics vmbackup vmrestore
	compile_suites
	;;
clients-more)
	need_for_test
	need_fuse
	install_missing
	install_servers versitygw rclone
	;;
race)
	need_for_test
	need gcc command -v gcc
	need libc6-dev test -e /usr/include/stdlib.h
	install_missing
	install_node_modules
	install_servers versitygw fake-gcs-server local-kms
	;;
pkcs11)
	need python3 test -x /usr/bin/python3
	need python3-cryptography python_has cryptography
	need python3-argon2 python_has argon2
	need softhsm2 command -v softhsm2-util
	need python3-pykcs11 python_has PyKCS11
	need gcc command -v gcc
	need libc6-dev test -e /usr/include/stdlib.h
	install_missing
	;;
peers)
	install_servers minio
	;;
*)
	echo "usage: $0 go|test|race|clients|clients-more|pkcs11|peers" >&2
	exit 2
	;;
esac
