packages_present() {
  rpm -q --quiet $packages
}

install_packages() {
  dnf -q -y install $packages && systemctl enable --now dnf-automatic.timer
}
