# shellcheck shell=bash
# The application side of a test world: two OCI images, a registry, and a Podman engine of its own.
# Sourced after procs.sh. Prints nothing on stdout, except podman_ctl, which prints what podman prints.
#
#   app_make DIR        two OCI layouts DIR/dashboard-1 and -2: busybox httpd serving "gateway dashboard N" on $PORT
#   registry_start DIR  docker-registry on loopback, data in DIR; exports REGISTRY_PORT REGISTRY
#   app_push DIR        pushes both; exports APP_NAME (127.0.0.1:PORT/dashboard), APP_V1 APP_V2 (manifest digests
#                       without sha256:), APP_V1_LEN APP_V2_LEN (manifest bytes), APP_V1_REF APP_V2_REF (NAME@sha256:..)
#   podman_start DIR    engine and REST service; exports PODMAN_SOCK PODMAN_DIR PODMAN_DRIVER PODMAN_RUNTIME PODMAN_CGROUPS
#   podman_service      starts the REST service again after world_stop podman
#   podman_ctl args...  podman with the same settings, for an independent look

# Prints the hexadecimal SHA-256 of file $1.
world_sha256() {
	local sum
	sum=$(sha256sum "$1") && printf '%s\n' "${sum%% *}"
}

# Moves file $2 into the OCI layout $1 as a blob and prints its descriptor with media type $3.
oci_blob() {
	local sum size
	sum=$(world_sha256 "$2") && size=$(stat -c %s "$2") && mv "$2" "$1/blobs/sha256/$sum" || return 1
	jq -nc --arg t "$3" --arg d "sha256:$sum" --argjson s "$size" '{mediaType: $t, digest: $d, size: $s}'
}

# Makes the root file system of dashboard version $2 in directory $1.
app_rootfs() {
	mkdir -p "$1/bin" "$1/www" "$1/etc" "$1/proc" "$1/sys" "$1/dev" "$1/tmp" "$1/run"
	install -m 755 "$(command -v busybox)" "$1/bin/busybox"
	ln -s busybox "$1/bin/sh"
	printf 'root:x:0:0:root:/:/bin/sh\n' >"$1/etc/passwd"
	printf '<!doctype html>\n<title>gateway dashboard %s</title>\n<h1>gateway dashboard %s</h1>\n' "$2" "$2" \
		>"$1/www/index.html"
}

# Makes the OCI layout $1 of dashboard version $2: one layer, config, manifest, index, all by hand.
app_make_one() {
	local dir=$1 n=$2 layer diff config manifest
	local oci=application/vnd.oci.image
	mkdir -p "$dir/blobs/sha256"
	app_rootfs "$dir/rootfs" "$n"
	tar -C "$dir/rootfs" --sort=name --numeric-owner --owner=0 --group=0 --mtime=@1700000000 -cf "$dir/layer.tar" .
	rm -r "$dir/rootfs"
	diff=sha256:$(world_sha256 "$dir/layer.tar")
	gzip -n -1 "$dir/layer.tar"
	layer=$(oci_blob "$dir" "$dir/layer.tar.gz" $oci.layer.v1.tar+gzip) || return 1
	jq -nc --arg diff "$diff" --arg n "$n" --arg arch "$(dpkg --print-architecture)" '{
		created: "2023-11-14T22:13:20Z", architecture: $arch, os: "linux",
		config: {
			Env: ["PATH=/bin", "PORT=8080"],
			Entrypoint: ["/bin/busybox", "sh", "-c",
				"exec /bin/busybox httpd -f -p 127.0.0.1:$PORT -h /www"],
			WorkingDir: "/", StopSignal: "SIGKILL",
			Labels: {"org.opencontainers.image.title": "dashboard", "org.opencontainers.image.version": $n}},
		rootfs: {type: "layers", diff_ids: [$diff]},
		history: [{created: "2023-11-14T22:13:20Z", created_by: "tests/e2e/world/container.sh"}]}' >"$dir/config"
	config=$(oci_blob "$dir" "$dir/config" $oci.config.v1+json) || return 1
	jq -nc --argjson c "$config" --argjson l "$layer" --arg t $oci.manifest.v1+json \
		'{schemaVersion: 2, mediaType: $t, config: $c, layers: [$l]}' >"$dir/manifest"
	manifest=$(oci_blob "$dir" "$dir/manifest" $oci.manifest.v1+json) || return 1
	jq -nc --argjson m "$manifest" '{schemaVersion: 2, manifests: [$m]}' >"$dir/index.json"
	printf '{"imageLayoutVersion":"1.0.0"}\n' >"$dir/oci-layout"
}

# Makes both versions of the dashboard application below $1.
app_make() {
	app_make_one "$1/dashboard-1" 1 || return 1
	app_make_one "$1/dashboard-2" 2
}

# Starts Debian's docker-registry on a free loopback port with its data below $1.
registry_start() {
	mkdir -p "$1/data"
	REGISTRY_PORT=$(world_free_port) || return 1
	export REGISTRY_PORT REGISTRY=127.0.0.1:$REGISTRY_PORT
	cat >"$1/config.yml" <<-END
		version: 0.1
		log: {level: info, accesslog: {disabled: true}}
		storage: {filesystem: {rootdirectory: $1/data}, delete: {enabled: true}}
		http: {addr: "$REGISTRY"}
	END
	world_spawn registry env -i "PATH=$PATH" docker-registry serve "$1/config.yml" || return 1
	world_wait_http "http://$REGISTRY/v2/"
}

# Pushes layout $1 under tag $2 and prints "DIGEST LENGTH" of the manifest as the registry serves it.
app_push_one() {
	local got=$1/manifest.served sum
	skopeo --insecure-policy copy --quiet --preserve-digests --dest-tls-verify=false \
		"oci:$1" "docker://$APP_NAME:$2" >>"$WORLD_W/log/skopeo.log" 2>&1 || return 1
	curl -fsS -H 'Accept: application/vnd.oci.image.manifest.v1+json' -o "$got" \
		"http://$REGISTRY/v2/${APP_NAME#*/}/manifests/$2" || return 1
	sum=$(world_sha256 "$got")
	if [ "$(jq -r '.manifests[0].digest' "$1/index.json")" != "sha256:$sum" ]; then
		world_log "the registry does not serve the manifest of $1 as it was made"
		return 1
	fi
	printf '%s %s\n' "$sum" "$(stat -c %s "$got")"
}

# Pushes both dashboards that app_make made below $1 to the registry.
app_push() {
	local one two
	APP_NAME=$REGISTRY/dashboard
	one=$(app_push_one "$1/dashboard-1" 1) || return 1
	two=$(app_push_one "$1/dashboard-2" 2) || return 1
	APP_V1=${one% *} APP_V1_LEN=${one#* } APP_V2=${two% *} APP_V2_LEN=${two#* }
	APP_V1_REF=$APP_NAME@sha256:$APP_V1 APP_V2_REF=$APP_NAME@sha256:$APP_V2
	export APP_NAME APP_V1 APP_V1_LEN APP_V1_REF APP_V2 APP_V2_LEN APP_V2_REF
}

# Writes Podman's three configuration files below $1 for storage driver $2, runtime $3, cgroups $4.
podman_config() {
	mkdir -p "$1/root" "$1/run" "$1/tmp" "$1/net"
	cat >"$1/containers.conf" <<-END
		[containers]
		cgroups="$4"
		default_ulimits=["nofile=1024:1024", "nproc=1024:1024"]
		netns="host"
		log_driver="k8s-file"
		[engine]
		runtime="$3"
		cgroup_manager="cgroupfs"
		events_logger="file"
		lock_type="file"
		image_copy_tmp_dir="$1/tmp"
		tmp_dir="$1/tmp"
		static_dir="$1/root/libpod"
		volume_path="$1/root/volumes"
		[network]
		network_backend="netavark"
		network_config_dir="$1/net"
	END
	printf '[storage]\ndriver="%s"\ngraphroot="%s/root"\nrunroot="%s/run"\n' "$2" "$1" "$1" >"$1/storage.conf"
	cat >"$1/registries.conf" <<-END
		unqualified-search-registries=[]
		[[registry]]
		location="127.0.0.1:${REGISTRY_PORT:-1}"
		insecure=true
	END
}

# Runs a command or function with the settings of the engine below $1, in a subshell.
podman_env() (
	unset CONTAINER_HOST XDG_RUNTIME_DIR
	export CONTAINERS_CONF=$1/containers.conf CONTAINERS_STORAGE_CONF=$1/storage.conf
	export CONTAINERS_REGISTRIES_CONF=$1/registries.conf
	shift
	"$@"
)

# Runs podman with the settings of this world's engine.
podman_ctl() {
	podman_env "$PODMAN_DIR" podman "$@"
}

# Says whether a container really runs with driver $1, runtime $2 and cgroups $3, tried in directory $4.
podman_probe() {
	local out rc=1
	command -v "$2" >/dev/null || return 1
	podman_config "$4" "$1" "$2" "$3"
	mkdir -p "$4/probe/bin" && install -m 755 "$(command -v busybox)" "$4/probe/bin/busybox"
	tar -C "$4/probe" -cf "$4/probe.tar" .
	if podman_env "$4" podman import -q "$4/probe.tar" localhost/probe >/dev/null &&
		out=$(podman_env "$4" timeout -k 2 20 podman run --rm --network=host localhost/probe \
			/bin/busybox echo probe-ok); then
		[ "$out" != probe-ok ] || rc=0
	fi
	podman_sweep "$4"
	world_unmount_below "$4"
	rm -rf "$4"
	return "$rc"
}

# Finds the best driver, runtime and cgroups setting that works here; the first try is the usual success.
podman_detect() {
	local driver runtime cgroups
	for driver in overlay vfs; do
		for runtime in runc crun; do
			for cgroups in enabled disabled; do
				printf 'trying %s %s cgroups %s\n' "$driver" "$runtime" "$cgroups" >&2
				podman_probe "$driver" "$runtime" "$cgroups" "$1/probe" || continue
				export PODMAN_DRIVER=$driver PODMAN_RUNTIME=$runtime PODMAN_CGROUPS=$cgroups
				return 0
			done
		done
	done
	return 1
}

# Starts the engine of this world below $1 and waits until its REST service answers.
podman_start() {
	local dir=$1
	mkdir -p "$dir"
	world_at_end podman_sweep "$dir/probe"
	if ! podman_detect "$dir" 2>>"$WORLD_W/log/podman-detect.log"; then
		world_log "no way to run a container was found, see $WORLD_W/log/podman-detect.log"
		return 1
	fi
	podman_config "$dir" "$PODMAN_DRIVER" "$PODMAN_RUNTIME" "$PODMAN_CGROUPS"
	export PODMAN_DIR=$dir PODMAN_SOCK=$dir/podman.sock
	if [ ${#PODMAN_SOCK} -gt 100 ]; then
		world_log "$PODMAN_SOCK is too long for a unix socket"
		return 1
	fi
	world_at_end podman_sweep "$dir"
	podman_service
}

# Starts the REST service of the engine, also again after world_stop podman: containers live on in between.
podman_service() {
	podman_env "$PODMAN_DIR" world_spawn podman podman system service --time=0 "unix://$PODMAN_SOCK" &&
		world_wait_http http://d/v4.0.0/libpod/_ping --unix-socket "$PODMAN_SOCK"
}

# Removes every container of the engine below $1, by podman, and by pid should podman fail.
podman_sweep() {
	local f pid
	[ -d "$1/run" ] || return 0
	podman_env "$1" timeout -k 2 20 podman rm --all --force --time 0 >/dev/null 2>&1 || true
	for f in "$1"/run/*-containers/*/userdata/{pidfile,conmon.pid}; do
		[ -s "$f" ] || continue
		pid=$(<"$f")
		if podman_owns "$pid" "$1"; then
			kill -KILL "$pid" 2>/dev/null || true
		fi
	done
	for f in "$1"/root/*-containers/*/userdata; do
		[ -d "$f" ] || continue
		f=${f%/userdata}
		"${PODMAN_RUNTIME:-runc}" delete --force "${f##*/}" >/dev/null 2>&1 || true
	done
}

# Says whether process $1, or its parent, is a conmon of the engine below $2: a pid alone may have been used again.
podman_owns() {
	local parent
	grep -qF "$2/" "/proc/$1/cmdline" 2>/dev/null && return 0
	parent=$(awk '$1 == "PPid:" {print $2}' "/proc/$1/status" 2>/dev/null)
	[ "${parent:-1}" -gt 1 ] && grep -qF "$2/" "/proc/$parent/cmdline" 2>/dev/null
}

# Starts dockerd and its containerd below $1 with nothing of the machine's own changed; exports DOCKER_SOCK DOCKER_DIR.
docker_start() {
	local dir=$1
	mkdir -p "$dir/data" "$dir/exec"
	printf '{}\n' >"$dir/daemon.json" # not the machine's own
	export DOCKER_DIR=$dir DOCKER_SOCK=$dir/docker.sock
	if [ ${#DOCKER_SOCK} -gt 100 ]; then
		world_log "$DOCKER_SOCK is too long for a unix socket"
		return 1
	fi
	world_at_end docker_sweep "$dir"
	docker_service
}

# Starts the Docker daemon, also again after world_stop docker.
docker_service() {
	world_spawn docker dockerd --host "unix://$DOCKER_SOCK" --data-root "$DOCKER_DIR/data" --exec-root \
		"$DOCKER_DIR/exec" --pidfile "$DOCKER_DIR/docker.pid" --config-file "$DOCKER_DIR/daemon.json" \
		--bridge=none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false &&
		world_wait_http http://d/_ping --unix-socket "$DOCKER_SOCK"
}

# Runs docker with the daemon of this world.
docker_ctl() {
	docker --host "unix://$DOCKER_SOCK" --config "$DOCKER_DIR/config" "$@"
}

# Removes every container of the daemon below $1 while it answers.
docker_sweep() {
	local ids
	[ -S "$1/docker.sock" ] || return 0
	ids=$(timeout -k 2 20 docker --host "unix://$1/docker.sock" ps -aq 2>/dev/null) || return 0
	# shellcheck disable=SC2086 # one word for each container
	[ -z "$ids" ] || timeout -k 2 20 docker --host "unix://$1/docker.sock" rm -f $ids >/dev/null 2>&1 || true
}
