#!/usr/bin/env bash
# The first process of a machine of operations_test.py: it makes the machine's file system, says its
# own process id, and ends when its standard input does, which ends all that runs on the machine.
# Run in new namespaces for mounts, network, host name and processes. What the machine writes is in
# memory: /usr and /etc are those of here underneath, everything else begins empty.
# usage: machine.sh NAME FOLDER TREE BINARIES HOSTS
set -euo pipefail
name=$1 at=$2 tree=$3 binaries=$4 hosts=$5
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
read -r pid _ < /proc/self/stat    # as it is outside: /proc is still that of outside

mount -t tmpfs -o mode=755 machine "$at"
root=$at/root
mkdir "$root"
mount -t tmpfs -o mode=755 root "$root"
for one in usr etc; do
  mkdir "$root/$one" "$at/$one-upper" "$at/$one-work"
  layers=lowerdir=/$one,upperdir=$at/$one-upper,workdir=$at/$one-work
  mount -t overlay -o "$layers" overlay "$root/$one"
done
for one in bin sbin lib lib32 lib64 libx32; do
  [ ! -L "/$one" ] || cp -P "/$one" "$root/"
done
mkdir -m 755 -p "$root"/{proc,dev,run,mnt,var/lib,var/log}
mkdir -m 1777 "$root/tmp"
mkdir -m 700 "$root/root"
mount -t proc proc "$root/proc"
for one in null zero full random urandom tty; do
  : > "$root/dev/$one"
  mount --bind "/dev/$one" "$root/dev/$one"
done
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"

# Names are those of the test's network only, and nothing of Custos is installed yet.
rm -rf "$root/etc/custos" "$root"/etc/systemd/system/custos-*
for one in hosts nsswitch.conf hostname; do
  rm -f "$root/etc/$one"
done
cp "$hosts" "$root/etc/hosts"
printf 'passwd: files\ngroup: files\nshadow: files\nhosts: files\n' > "$root/etc/nsswitch.conf"
echo "$name" > "$root/etc/hostname"
hostname "$name"

source_tree=$root/usr/src/custos
mkdir -p "$source_tree/packaging" "$source_tree/build/release/bin"
mount --bind "$tree/packaging" "$source_tree/packaging"
mount --bind "$binaries" "$source_tree/build/release/bin"
for one in "$source_tree/packaging" "$source_tree/build/release/bin"; do
  mount -o remount,bind,ro "$one"
done
for one in systemctl systemd-sysusers; do
  cp "$here/service_manager.py" "$root/usr/local/bin/$one"
  chmod 755 "$root/usr/local/bin/$one"
done

cd "$root"
pivot_root . .
umount -l .
cd /
echo "$pid"
# Orphans are reaped by the shell while it waits.
read -r _ || true
