packages="{{ groups_os.packages | join(' ') }}"

present() {
  rpm -q --quiet $packages && python3 -c 'import boto3, docker' 2>/dev/null && systemctl is-enabled -q dnf-automatic.timer
}

install() {
  dnf -q -y install $packages && python3 -m pip install --quiet {{ groups_os.python_packages | join(' ') }} &&
    systemctl enable --now dnf-automatic.timer
}
