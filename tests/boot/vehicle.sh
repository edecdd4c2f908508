# shellcheck shell=bash
# The vehicle and the servers it talks to, all on loopback. Sourced after the parts of tests/e2e/world, image.sh and
# machine.sh. W is the world's folder.
#
#   vehicle_world CACHE BUILD   servers, releases, application, and base.qcow2 of a gateway that left the factory
#   vehicle_ports NAME PORT     what machine NAME reaches, its Director on port PORT
#   vehicle_assign TARGET...    the Director of folder $DIRECTOR assigns the ECU's target: os/gateway-N, apps/dashboard-N
#   vehicle_reports ECU         prints the name of what the Director has been told that ECU runs
#   vehicle_wait_report SECONDS ECU TARGET

VEHICLE=gateway-0001
OS_ECU=gateway-os APP_ECU=dashboard

# The configuration that the factory puts into /etc, below $1.
vehicle_etc() {
	local dir=$1/uptaned
	mkdir -p "$dir/health.d"
	cp "$PKI_DIR"/{ca.pem,device.pem,device.key} "$W/director.root.json" "$W/image.root.json" "$dir/"
	chmod 600 "$dir/device.key"
	cat >"$dir/uptaned.conf" <<-CONF
		[uptane]
		vehicle_id = $VEHICLE
		poll_interval_s = 2
		[director]
		url = https://10.0.2.100:8443/director
		root = /etc/uptaned/director.root.json
		[image_repository]
		url = https://10.0.2.100:9443/repo
		root = /etc/uptaned/image.root.json
		[tls]
		ca = /etc/uptaned/ca.pem
		cert = /etc/uptaned/device.pem
		key = /etc/uptaned/device.key
		[primary]
		serial = $OS_ECU
		hardware_id = gateway-x1
		key = /var/lib/uptaned/$OS_ECU.key
		factory_image = os/gateway-1
		installer = ostree
		os = gateway
		remote = updates
		boot_loader = uboot
		boot_tries = 2
		[boot]
		fw_setenv = /usr/libexec/boot-test/fw_setenv
		[health]
		timeout_s = 30
		[secondary $APP_ECU]
		link = virtual
		hardware_id = container-host
		key = /var/lib/uptaned/$APP_ECU.key
		installer = container
		name = dashboard
		network = host
		port_a = 18080
		port_b = 18081
		endpoint = /run/dashboard.port
		health_url = http://127.0.0.1:%p/
		health_timeout_s = 60
		registry_tls_verify = no
	CONF
}

# Publishes release $1 of the system.
vehicle_os_target() {
	repo target add --name "os/gateway-$1" --sha256 "${BOOT_COMMIT[$1]}" --length 0 --format OSTREE \
		--hardware-id gateway-x1 --release-counter "$1"
}

# Publishes release $1 of the application.
vehicle_app_target() {
	local digest=APP_V$1 len=APP_V${1}_LEN
	repo target add --name "apps/dashboard-$1" --sha256 "${!digest}" --length "${!len}" --format OCI \
		--hardware-id container-host --release-counter "$1" --uri 10.0.2.100:5000/dashboard
}

vehicle_world() {
	local n kinds=([1]=good good sick panics hangs starves)
	pki_make "$W/pki" "$VEHICLE" || return 1
	boot_remote "$1" "$W/remote" "$2" || return 1
	for n in "${!kinds[@]}"; do
		boot_release "$W/remote" "$n" "${kinds[n]}" || return 1
	done
	boot_log base ostree --repo="$OSTREE_REMOTE_REPO" summary -u
	app_make "$W/app" && registry_start "$W/registry" && app_push "$W/app" || return 1
	nginx_start "$W/nginx" "$(world_free_port)" || return 1
	image_repo_make "$W/image-repo" || return 1
	for n in "${!kinds[@]}"; do
		vehicle_os_target "$n" || return 1
	done
	vehicle_app_target 1 && vehicle_app_target 2 && image_repo_serve || return 1
	director_serve "$W/director" "$VEHICLE" && pinned_roots && vehicle_etc "$W/etc" || return 1
	machine_disk "$1" "$W/factory" "${BOOT_COMMIT[1]}" "$W/etc"
}

vehicle_ports() {
	rm -f "$W/$1/forward"
	machine_forward "$1" 8443 "$2"
	machine_forward "$1" 9443 "$NGINX_HTTPS_PORT"
	machine_forward "$1" 5000 "$REGISTRY_PORT"
}

vehicle_assign() {
	local target
	for target; do
		case $target in
		os/*) assign "$VEHICLE" "$OS_ECU" "$target" ;;
		*) assign "$VEHICLE" "$APP_ECU" "$target" ;;
		esac
	done
}

vehicle_reports() {
	uptane-director inventory --dir "$DIRECTOR" --vehicle "$VEHICLE" --json |
		jq -r --arg ecu "$1" '.vehicles[0].ecus[]? | select(.serial == $ecu) | .installed.name // empty'
}

vehicle_wait_report() {
	local end=$((SECONDS + $1)) got
	until got=$(vehicle_reports "$2" 2>/dev/null) && [ "$got" = "$3" ]; do
		[ "$SECONDS" -lt "$end" ] || { world_log "the Director believes that $2 runs '$got', not $3, after $1 s"; return 1; }
		sleep 0.2
	done
}

# What the Director has been told of failed installations and attacks.
vehicle_heard() {
	uptane-director inventory --dir "$DIRECTOR" --vehicle "$VEHICLE" --json |
		jq -c '.vehicles[0] | {installation, attacks}'
}
