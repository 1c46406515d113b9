#!/usr/bin/env bash
# Bare systems of Debian, for chroot-test and deb-test, which read this. CHROOT_DIR (/var/tmp/cuframes-chroot): where
# they are kept, to be used again; CHROOT_MIRROR: a mirror other than apt's first.

directory=${CHROOT_DIR:-/var/tmp/cuframes-chroot}
mirror=${CHROOT_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)}
mkdir -p "$directory"

# In the chroot, in namespaces of its own, so that nothing stays mounted: inside ROOT COMMAND...
# INSIDE_BIND="DIRECTORY PATH": that directory is at PATH there.
inside() {
  local root=$1
  shift
  # shellcheck disable=SC2016 # the inner shell expands it
  unshare --mount --pid --fork --kill-child --propagation private -- bash -c '
    set -e
    mount -t proc proc "$1/proc"
    mount -t sysfs -o ro sysfs "$1/sys"
    mount -t tmpfs -o mode=755 tmpfs "$1/dev"
    for device in null zero full random urandom tty; do
      touch "$1/dev/$device"
      mount --bind "/dev/$device" "$1/dev/$device"
    done
    mkdir "$1/dev/pts" "$1/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$1/dev/pts"
    ln -s pts/ptmx "$1/dev/ptmx"
    ln -s /proc/self/fd "$1/dev/fd"
    mount -t tmpfs -o mode=1777,size=64m tmpfs "$1/dev/shm"
    read -r from to <<< "${INSIDE_BIND:-}"
    [ -z "$from" ] || mount --bind "$from" "$1$to"
    root=$1
    shift
    exec chroot "$root" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
      LC_ALL=C.UTF-8 CUFRAMES_TEST_TIMEOUT="${CUFRAMES_TEST_TIMEOUT:-}" "$@"' inside "$root" "$@" < /dev/null
}

# A system with nothing but what apt needs, made once for each suite: fresh_root SUITE ROOT
fresh_root() {
  local suite=$1 root=$2 bare=$directory/$1.bare
  if [ ! -d "$bare" ]; then
    echo "${0##*/}: making a bare $suite"
    rm -rf "$bare.new"
    debootstrap --variant=minbase "$suite" "$bare.new" "$mirror" > "$directory/$suite.debootstrap.log" || {
      tail -n 5 "$directory/$suite.debootstrap.log" >&2
      exit 1
    }
    mv "$bare.new" "$bare"
  fi
  rm -rf "$root"
  cp -a "$bare" "$root"
  cp /etc/resolv.conf /etc/hosts "$root/etc/"
  # A mirror that stands still for a while, as snapshots do, is good enough: its signature is still checked.
  echo 'Acquire::Check-Valid-Until "false";' > "$root/etc/apt/apt.conf.d/99valid-until"
}
