export DEBIAN_FRONTEND=noninteractive

packages_present() {
  for package in $packages; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || return 1
  done
}

install_packages() {
  apt-get -q update && apt-get -q -o DPkg::Lock::Timeout=120 install -y --no-install-recommends $packages
}
