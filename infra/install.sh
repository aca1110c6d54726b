#!/usr/bin/env bash
# Install what `make up` needs besides Python packages: PostgreSQL and Ceph's S3 gateway, from Debian's packages.
# As root or with a sudo that asks for no password; else it says what to install. What is there already is left alone.
set -euo pipefail

missing=()
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null || missing+=(postgresql)
command -v radosgw >/dev/null && command -v radosgw-admin >/dev/null || missing+=(radosgw)
command -v ceph-mon >/dev/null && command -v monmaptool >/dev/null || missing+=(ceph-mon)
command -v ceph-osd >/dev/null || missing+=(ceph-osd)
command -v ceph >/dev/null && command -v ceph-authtool >/dev/null || missing+=(ceph-common)
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=(env)
if [ "$(id -u)" -ne 0 ]; then as_root=(sudo -n env); fi
if ! command -v apt-get >/dev/null || { [ "$(id -u)" -ne 0 ] && ! sudo -n true 2>/dev/null; }; then
	echo "Not installed: ${missing[*]} (names of Debian's packages). As root: apt-get install ${missing[*]}" >&2
	echo "Going on with what is there: PostgreSQL is needed; without Ceph the S3 store is moto, a stand-in." >&2
	exit 0
fi

# Debian's postgresql makes and starts a cluster of its own, 15/main on port 5432, which nobody here needs
no_cluster() {
	local folder=/etc/postgresql-common/createcluster.d
	[[ " ${missing[*]} " == *" postgresql "* ]] || return 0
	"${as_root[@]}" mkdir -p "$folder" &&
		echo 'create_main_cluster = false' | "${as_root[@]}" tee "$folder/tmu.conf" >/dev/null
}

# update first: a list that is too old names packages that are gone
install() {
	no_cluster &&
		"${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -qq update &&
		"${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "${missing[@]}"
}

echo "Installing ${missing[*]} (Debian packages; about a minute)" >&2
log=$(mktemp)
if install >"$log" 2>&1; then
	rm "$log"
else
	tail -5 "$log" >&2
	echo "Not all could be installed (all that apt said: $log). Going on with what is there." >&2
fi
