#!/usr/bin/env bash
# Bare systems of Debian, for chroot-test, deb-test and image, which read this. CHROOT_DIR (/var/tmp/cuframes-chroot):
# where they are kept, to be used again; CHROOT_MIRROR: a mirror other than apt's first.

directory=${CHROOT_DIR:-/var/tmp/cuframes-chroot}
mirror=${CHROOT_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)}
mkdir -p "$directory"

# What every system has mounted; for an inner shell, which evaluates it.
# shellcheck disable=SC2016
export mount_system='mount_system() {
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
}'

# In the chroot, in namespaces of its own, so that nothing stays mounted: inside ROOT COMMAND...
# INSIDE_BIND="DIRECTORY PATH": that directory is at PATH there.
inside() {
  local root=$1
  shift
  # shellcheck disable=SC2016 # the inner shell expands it
  unshare --mount --pid --fork --kill-child --propagation private -- bash -c '
    set -e
    eval "$mount_system"
    mount_system "$1"
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

# Boots such a system, which has systemd: it is process 1 of namespaces of its own, without a network but loopback, and
# all of it ends with shut_down. 77: that cannot be here. boot ROOT
boot() {
  local hierarchy said=
  hierarchy=$(findmnt --noheadings --first-only --types cgroup2 --output TARGET) || return 77
  booted_cgroup=$hierarchy/cuframes-boot-$$
  mkdir "$booted_cgroup" 2> /dev/null || return 77
  rm -f "$1/booted"
  mkfifo "$1/booted"
  # shellcheck disable=SC2016 # the inner shell expands it
  (echo "$BASHPID" > "$booted_cgroup/cgroup.procs" && exec unshare --cgroup --mount --pid --fork --kill-child --ipc \
    --net --uts --propagation private -- bash -c '
    set -e
    eval "$mount_system"
    mount --bind "$1" "$1"
    mount_system "$1"
    mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup"
    mount -t tmpfs -o mode=755 tmpfs "$1/run"
    mkdir -p "$1/run/systemd/system/multi-user.target.wants"
    cd "$1/run/systemd/system"
    printf "[Service]\nType=oneshot\nExecStart=/bin/sh -c \"echo yes > /booted\"\n" > booted.service
    ln -s ../booted.service multi-user.target.wants/
    cd "$1"
    mkdir .before
    pivot_root . .before
    umount -l /.before
    rmdir /.before
    exec env -i container=cuframes /lib/systemd/systemd --unit=multi-user.target' boot "$1") \
    > "$1/boot.log" 2>&1 < /dev/null &
  booted_unshare=$!
  exec {booted}<> "$1/booted"
  read -r -t 300 said <&"$booted" || true
  exec {booted}<&-
  rm "$1/booted"
  if [ "$said" = yes ]; then
    booted_init=$(pgrep -P "$booted_unshare") && return 0
  fi
  cat "$1/boot.log"
  shut_down
  return 77
}
in_booted() { # COMMAND...
  nsenter --target "$booted_init" --mount --pid --uts --ipc --net --cgroup --root --wd env -i \
    PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@" < /dev/null
}
# With its process 1 all others go.
shut_down() {
  kill -KILL "${booted_init:-$booted_unshare}" 2> /dev/null || true
  wait "$booted_unshare" || true
  booted_init=
  find "$booted_cgroup" -depth -type d -exec rmdir {} + || true
}
