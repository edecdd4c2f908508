#!/usr/bin/env bash
# Servers that cannot be reached or are not who they should be: the right class, and the next cycle goes on.
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "$0")/lib.sh"

director_unreachable() {
	want_other
	drop_in <<<$'[director]\nurl = https://127.0.0.1:'"$(world_free_port)/director"
	refused 5 network "/director/manifest: Failed to connect"
	updated
}

director_stopped() {
	want_other
	drop_in <<<"[director]"$'\n'"url = https://127.0.0.1:$DIRECTOR_PORT/director"
	world_stop director
	refused 5 network "127.0.0.1:$DIRECTOR_PORT"
	world_spawn director uptane-director serve --dir "$DIRECTOR" --listen "127.0.0.1:$DIRECTOR_PORT" \
		--cert "$PKI_DIR/server.pem" --key "$PKI_DIR/server.key" --client-ca "$PKI_DIR/ca.pem"
	world_wait_port "$DIRECTOR_PORT"
	updated
}

image_repository_unreachable() {
	want_other
	drop_in <<<$'[image_repository]\nurl = https://127.0.0.1:'"$(world_free_port)/repo"
	refused 5 network "image 2.root.json" .director
	updated
}

no_such_host() {
	want_other
	drop_in <<<$'[image_repository]\nurl = https://no-such-host.invalid/repo'
	refused 5 network "no-such-host.invalid" .director
	updated
}

connection_closed_without_an_answer() {
	want_other
	fault_at 444 director
	refused 5 network "director"
	updated
	want_other
	fault_at 444 repo/timestamp.json
	refused 5 network "timestamp.json" .director
	updated
}

# ---- TLS ----

server_of_another_ca() {
	want_other
	drop_in <<<"[tls]"$'\n'"ca = $PKI_DIR/wrong-ca.pem"
	refused 6 tls "certificate"
	updated
}

server_with_another_name() {
	want_other
	drop_in <<<"[director]"$'\n'"url = https://127.0.0.2:$DIRECTOR_PORT/director"
	world_spawn director2 uptane-director serve --dir "$DIRECTOR" --listen 127.0.0.2:0 --ready-file "$W/port2" \
		--cert "$PKI_DIR/server.pem" --key "$PKI_DIR/server.key" --client-ca "$PKI_DIR/ca.pem"
	uptane_wait_file director2 "$W/port2"
	drop_in <<<"[director]"$'\n'"url = https://127.0.0.2:$(<"$W/port2")/director"
	refused 6 tls "127.0.0.2"
	world_stop director2
	updated
}

no_client_certificate() {
	want_other
	drop_in <<-CONF
		[director]
		url = https://127.0.0.1:$DIRECTOR_PORT/director
		[tls]
		cert =
		key =
	CONF
	refused 5 server "a client certificate is required"
	updated
}

# Of another CA, and of another vehicle.
foreign_client_certificate() {
	want_other
	openssl req -x509 -config "$PKI_DIR/openssl.cnf" -extensions client -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
		-nodes -days 30 -subj "/CN=$VEHICLE" -keyout "$W/foreign.key" -out "$W/foreign.pem" 2>/dev/null
	drop_in <<-CONF
		[director]
		url = https://127.0.0.1:$DIRECTOR_PORT/director
		[tls]
		cert = $W/foreign.pem
		key = $W/foreign.key
	CONF
	refused 5 server "The certificate issuer is unknown"
	drop_in <<-CONF
		[director]
		url = https://127.0.0.1:$DIRECTOR_PORT/director
		[tls]
		cert = $PKI_DIR/operator.pem
		key = $PKI_DIR/operator.key
	CONF
	refused 5 server "vehicle operator registered no ECUs"
	updated
}

# A server that ends the handshake, or the connection right after it, for want of a certificate it likes.
certificate_refused_in_the_handshake() {
	local version port
	for version in 2 3; do
		want_other
		port=$(world_free_port)
		world_spawn "s_server$version" openssl s_server -accept "127.0.0.1:$port" -cert "$PKI_DIR/server.pem" \
			-key "$PKI_DIR/server.key" -CAfile "$PKI_DIR/wrong-ca.pem" -Verify 1 -verify_return_error \
			-no_ign_eof -quiet "-tls1_$version"
		world_wait_port "$port"
		drop_in <<<"[director]"$'\n'"url = https://127.0.0.1:$port/director"
		refused 6 tls "127.0.0.1:$port"
		world_stop "s_server$version"
		updated
	done
}

no_tls_at_all() {
	want_other
	drop_in <<<"[image_repository]"$'\n'"url = https://127.0.0.1:$PLAIN_PORT/repo"
	refused 6 tls "127.0.0.1:$PLAIN_PORT" .director
	updated
}

make_world
for name in director_unreachable director_stopped image_repository_unreachable no_such_host \
	connection_closed_without_an_answer server_of_another_ca server_with_another_name no_client_certificate \
	foreign_client_certificate certificate_refused_in_the_handshake no_tls_at_all; do
	run_case "$name"
done
finish
