#!/bin/sh
# Runs a command with a Slurm cluster that consists of this machine, and ends the
# cluster afterwards. Everything is in a directory of its own that is removed;
# a cluster that the machine belongs to is not touched.
set -eu
export PATH="$PATH:/usr/sbin:/sbin"
dir=$(mktemp -d)
host=$(hostname -s)
port=$((20000 + $$ % 20000))
pids=
end() {
	code=$?
	trap - EXIT INT TERM
	for pid in $pids; do kill "$pid" 2>/dev/null || true; done
	for pid in $pids; do wait "$pid" 2>/dev/null || true; done
	[ "$code" -eq 0 ] || tail -n 20 "$dir"/*.log >&2
	rm -rf "$dir"
	exit "$code"
}
trap end EXIT
trap 'exit 130' INT TERM

chmod 755 "$dir"
mkdir -m 755 "$dir/munge"
mkdir "$dir/state" "$dir/spool"
(umask 077 && head -c 128 /dev/urandom >"$dir/munge/key")
cat >"$dir/slurm.conf" <<EOF
ClusterName=local
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
SlurmctldPort=$port
SlurmdPort=$((port + 1))
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
MpiDefault=none
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
EOF
export SLURM_CONF="$dir/slurm.conf"
munged --foreground --force --socket "$dir/munge/socket" --key-file "$dir/munge/key" --log-file "$dir/munged.log" \
	--pid-file "$dir/munge/pid" --seed-file "$dir/munge/seed" >"$dir/munged.err.log" 2>&1 &
pids="$pids $!"
while [ ! -S "$dir/munge/socket" ]; do sleep 0.1; kill -0 "$!"; done
slurmctld -D -f "$SLURM_CONF" >"$dir/slurmctld.log" 2>&1 &
pids="$! $pids"
slurmd -D -f "$SLURM_CONF" -N "$host" >"$dir/slurmd.log" 2>&1 &
pids="$! $pids"
n=0
until sinfo -h -o %t 2>/dev/null | grep -qx idle; do
	n=$((n + 1))
	[ "$n" -lt 150 ] || { echo "with-slurm.sh: the node is not idle after 30 seconds" >&2; exit 1; }
	sleep 0.2
done
"$@"
