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

echo "Installing ${missing[*]} (Debian packages)" >&2
# update first: a list that is too old names packages that are gone
if ! "${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -qq update >&2 ||
	! "${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "${missing[@]}" >&2; then
	echo "Not all could be installed. Going on with what is there." >&2
fi
