# The Uptane part of a world: Image repository, Director, gateway and Secondary, made with our own
# programs. Source after procs.sh, pki.sh, ostree.sh, container.sh, nginx.sh and firmware.sh.
# shellcheck shell=bash

# uptane_bin DIR: where uptaned and the tools were built.
uptane_bin() {
	UPTANE_BIN=$1
	local program
	for program in uptaned uptanectl uptane-secondary uptane-repo uptane-director; do
		[ -x "$UPTANE_BIN/$program" ] || { echo "no $program in $UPTANE_BIN" >&2; return 1; }
	done
	PATH=$UPTANE_BIN:$PATH
}

# repo ARGS...: uptane-repo on the Image repository, its words in the log.
repo() {
	uptane-repo -C "$IMAGE_REPO" "$@" >>"$W/log/repo.log" 2>&1
}

# image_repo_make DIR: a new Image repository workspace in DIR; sets IMAGE_REPO.
image_repo_make() {
	IMAGE_REPO=$1
	repo init
}

# image_repo_serve: publishes, and lets nginx serve it as /repo/.
image_repo_serve() {
	repo publish
	rm -rf "$NGINX_DIR/repo"
	ln -s "$IMAGE_REPO/public" "$NGINX_DIR/repo"
}

# director_serve DIR VEHICLE: a new Director in DIR, listening with pki's certificates; sets DIRECTOR and
# DIRECTOR_PORT.
director_serve() {
	DIRECTOR=$1
	uptane-director init --dir "$DIRECTOR" >>"$W/log/director-init.log" 2>&1
	world_spawn director uptane-director serve --dir "$DIRECTOR" --listen 127.0.0.1:0 \
		--cert "$PKI_DIR/server.pem" --key "$PKI_DIR/server.key" --client-ca "$PKI_DIR/ca.pem" \
		--ready-file "$W/director.port"
	uptane_wait_file director "$W/director.port"
	DIRECTOR_PORT=$(cat "$W/director.port")
}

# uptane_wait_file NAME FILE: bounded wait until process NAME has written its ready file; its log when it dies.
uptane_wait_file() {
	local tries=0
	until [ -s "$2" ]; do
		tries=$((tries + 1))
		if [ "$tries" -ge 200 ] || ! world_pid "$1" >/dev/null; then
			echo "$1 is not ready:" >&2
			tail -n 5 "$W/log/$1.log" >&2
			return 1
		fi
		sleep 0.05
	done
}

# secondary_serve DIR SERIAL HARDWARE VEHICLE: uptane-secondary as its own process; sets SECONDARY_DIR,
# SECONDARY_PORT and SECONDARY_FILE (what it has installed).
secondary_serve() {
	SECONDARY_DIR=$1
	SECONDARY_FILE=$1/flash/u-boot.bin
	mkdir -p "$1/flash" "$1/etc"
	cp "$W/director.root.json" "$W/image.root.json" "$1/etc/"
	cat >"$1/etc/uptane-secondary.conf" <<-CONF
		[secondary]
		serial = $2
		hardware_id = $3
		vehicle_id = $4
		state_dir = $1/state
		key = $1/ecu.key
		listen = 127.0.0.1:${5:-0}
		ready_file = $1/port
		director_root = $1/etc/director.root.json
		image_root = $1/etc/image.root.json
		install_path = $SECONDARY_FILE
	CONF
	rm -f "$1/port"
	world_spawn secondary uptane-secondary --generate-key --config "$1/etc"
	uptane_wait_file secondary "$1/port"
	SECONDARY_PORT=$(cat "$1/port")
}

# pinned_roots: copies of both first roots, as a factory would provision them.
pinned_roots() {
	cp "$IMAGE_REPO/public/1.root.json" "$W/image.root.json"
	curl -fsS --cacert "$PKI_DIR/ca.pem" --cert "$PKI_DIR/device.pem" --key "$PKI_DIR/device.key" \
		"https://127.0.0.1:$DIRECTOR_PORT/director/1.root.json" -o "$W/director.root.json"
}

# gateway_config DIR VEHICLE: the Primary's configuration: the system in SYSROOT, one application, one
# Secondary over TCP. Sets GATEWAY.
gateway_config() {
	GATEWAY=$1
	APP_PORT_A=$(world_free_port)
	APP_PORT_B=$(world_free_port)
	mkdir -p "$1/health.d"
	printf '#!/bin/sh\necho "$1" >"$0.asked"\n' >"$1/ask-for-reboot"
	chmod 755 "$1/ask-for-reboot"
	cat >"$1/uptaned.conf" <<-CONF
		[uptane]
		vehicle_id = $2
		state_dir = $1/state

		[director]
		url = https://127.0.0.1:$DIRECTOR_PORT/director
		root = $W/director.root.json

		[image_repository]
		url = https://127.0.0.1:$NGINX_HTTPS_PORT/repo
		root = $W/image.root.json

		[tls]
		ca = $PKI_DIR/ca.pem
		cert = $PKI_DIR/device.pem
		key = $PKI_DIR/device.key

		[primary]
		serial = gateway-os
		hardware_id = gateway-x1
		key = $1/gateway-os.key
		factory_image = os/gateway-1
		installer = ostree
		sysroot = $SYSROOT
		os = gateway
		remote = updates
		cmdline = $W/cmdline
		boot_id = $W/boot_id
		reboot_command = $1/ask-for-reboot please

		[health]
		dir = $1/health.d
		timeout_s = 10

		[secondary dashboard]
		link = virtual
		hardware_id = container-host
		key = $1/dashboard.key
		installer = container
		name = dashboard
		socket = $PODMAN_SOCK
		network = host
		port_a = $APP_PORT_A
		port_b = $APP_PORT_B
		endpoint = $1/dashboard.port
		health_url = http://127.0.0.1:%p/
		registry_tls_verify = no

		[secondary telematics-mcu]
		link = ip
		hardware_id = mcu-a7
		address = 127.0.0.1
		port = $SECONDARY_PORT
	CONF
}

# add_targets: both releases of system, application and firmware in the Image repository (unpublished). The
# firmware is its supplier's: a delegated role with a key of its own, for that hardware and those paths only.
add_targets() {
	local v commit digest len
	repo key generate mcu-supplier
	repo delegate mcu-supplier --key mcu-supplier --path 'boot/*' --hardware-id mcu-a7 --terminating
	for v in 1 2; do
		commit=OSTREE_V$v digest=APP_V$v len=APP_V${v}_LEN
		repo target add --name "os/gateway-$v" --sha256 "${!commit}" --length 0 \
			--format OSTREE --hardware-id gateway-x1 --release-counter "$v"
		repo target add --name "apps/dashboard-$v" --sha256 "${!digest}" \
			--length "${!len}" --format OCI --hardware-id container-host --release-counter "$v" \
			--uri "127.0.0.1:$REGISTRY_PORT/dashboard"
		add_firmware "$v"
	done
}

# add_firmware RELEASE: fw-RELEASE.bin as the supplier's target (unpublished).
add_firmware() {
	repo target add "$W/firmware/fw-$1.bin" --name "boot/u-boot-$1.bin" --role mcu-supplier \
		--format BINARY --hardware-id mcu-a7 --release-counter "$1"
}

# assign VEHICLE ECU TARGET [ROLE]: the Director assigns what the Image repository publishes.
assign() {
	uptane-director assign --dir "$DIRECTOR" --vehicle "$1" --ecu "$2" --name "$3" \
		--from "$(published "${4:-targets}")" >>"$W/log/assign.log" 2>&1
}

# published ROLE: path of its newest published metadata.
published() {
	find "$IMAGE_REPO/public" -maxdepth 1 -name "*.$1.json" | sort -V | tail -n 1
}

# device_state: what the vehicle runs, from the machine itself, not from the client: deployments, booted
# system, running container and its page, the Secondary's flash.
device_state() {
	ostree admin status --sysroot="$SYSROOT"
	ostree_booted_root "$SYSROOT" "$W/cmdline"
	podman_ctl ps --no-trunc --format '{{.ID}} {{.Image}} {{.Names}}'
	sha256sum "$SECONDARY_FILE"
	uptanectl status --json --config "$GATEWAY" | jq -c '.ecus[] | {ecu, installed, previous, pending}'
}

# dashboard_page: what the application answers now.
dashboard_page() {
	curl -fsS "http://127.0.0.1:$(cat "$GATEWAY/dashboard.port")/"
}
