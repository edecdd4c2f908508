# shellcheck shell=bash
# The file server of a test world: the Image repository and the OSTree remote over HTTPS with client certificates.
# Sourced after procs.sh. Prints nothing on stdout.
#
#   nginx_start DIR PORT   /repo/ from DIR/repo, /ostree/ from $OSTREE_REMOTE_REPO (else DIR/ostree), on HTTPS port
#                          PORT with the certificates of $PKI_DIR, and on a free plain HTTP port for benches, which
#                          asks for no certificate; exports NGINX_HTTPS_PORT NGINX_HTTP_PORT NGINX_DIR
#   nginx_limit RATE       from now on at most RATE (as 100k) bytes a second for each request; 0 lifts it
#   nginx_stop

# Writes nginx's configuration number $1 with rate limit $2.
nginx_config() {
	local dir=$NGINX_DIR user=
	[ "$(id -u)" -ne 0 ] || user='user root;' # W is readable by its owner only
	cat >"$dir/nginx.conf" <<-END
		$user
		worker_processes 2;
		pid $dir/nginx.pid;
		error_log $dir/error.log info;
		events { worker_connections 512; }
		http {
			client_body_temp_path $dir/tmp/body;
			proxy_temp_path $dir/tmp/proxy;
			fastcgi_temp_path $dir/tmp/fastcgi;
			uwsgi_temp_path $dir/tmp/uwsgi;
			scgi_temp_path $dir/tmp/scgi;
			log_format world '\$server_port "\$ssl_client_s_dn" \$server_protocol "\$request" \$status '
				'\$body_bytes_sent "\$http_range" \$connection \$connection_requests';
			types { application/json json; text/html html; }
			default_type application/octet-stream;
			sendfile on;
			tcp_nopush on;
			server_tokens off;
			keepalive_timeout 75s;
			keepalive_requests 100000;
			limit_rate $2;
			server {
				listen 127.0.0.1:$NGINX_HTTPS_PORT ssl http2;
				server_name localhost;
				ssl_certificate $PKI_DIR/server.pem;
				ssl_certificate_key $PKI_DIR/server.key;
				ssl_client_certificate $PKI_DIR/ca.pem;
				ssl_verify_client on;
				ssl_protocols TLSv1.2 TLSv1.3;
				ssl_session_cache shared:tls:1m;
				access_log $dir/access.log world;
				root $dir/none;
				location /repo/ { alias $dir/repo/; }
				location /ostree/ { alias $NGINX_OSTREE/; }
			}
			server {
				listen 127.0.0.1:$NGINX_HTTP_PORT;
				server_name localhost;
				access_log off;
				root $dir/none;
				location /repo/ { alias $dir/repo/; }
				location /ostree/ { alias $NGINX_OSTREE/; }
				location = /config { limit_rate 0; return 200 "$1\n"; }
			}
		}
	END
}

# Waits until configuration number $1 is the one that answers.
nginx_wait() {
	local end=$((SECONDS + WORLD_WAIT_S))
	while [ "$(curl -fsS --max-time 2 "http://127.0.0.1:$NGINX_HTTP_PORT/config" 2>/dev/null)" != "$1" ]; do
		[ "$SECONDS" -lt "$end" ] || { world_log "nginx does not answer, see $NGINX_DIR/error.log"; return 1; }
		sleep 0.02
	done
}

# Starts nginx with its files below $1 and HTTPS on port $2.
nginx_start() {
	mkdir -p "$1/repo" "$1/none" "$1/tmp"
	NGINX_DIR=$(cd "$1" && pwd)
	NGINX_OSTREE=${OSTREE_REMOTE_REPO:-$NGINX_DIR/ostree}
	NGINX_HTTP_PORT=$(world_free_port) || return 1
	NGINX_HTTPS_PORT=$2
	NGINX_CONFIG=1
	export NGINX_DIR NGINX_HTTP_PORT NGINX_HTTPS_PORT
	nginx_config "$NGINX_CONFIG" 0
	world_spawn nginx nginx -e "$NGINX_DIR/error.log" -p "$NGINX_DIR" -c "$NGINX_DIR/nginx.conf" -g 'daemon off;' ||
		return 1
	nginx_wait "$NGINX_CONFIG"
}

# Says whether process $1 is an nginx worker that takes new connections.
nginx_serves() {
	local title
	title=$({ tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null) || return 1
	[[ $title == *'worker process'* && $title != *'shutting down'* ]]
}

# Waits until none of the workers $@ takes new connections any more; what they still send, they send.
nginx_wait_retired() {
	local pid end=$((SECONDS + WORLD_WAIT_S))
	for pid; do
		while nginx_serves "$pid"; do
			[ "$SECONDS" -lt "$end" ] || { world_log "nginx worker $pid stays"; return 1; }
			sleep 0.02
		done
	done
}

# Limits every response to $1 bytes a second and waits until that is in force.
nginx_limit() {
	local pid workers
	pid=$(world_pid nginx) || { world_log "nginx does not run"; return 1; }
	mapfile -t workers < <(pgrep -P "$pid")
	NGINX_CONFIG=$((NGINX_CONFIG + 1))
	nginx_config "$NGINX_CONFIG" "$1"
	kill -HUP "$pid"
	nginx_wait "$NGINX_CONFIG" && nginx_wait_retired "${workers[@]}"
}

# Stops nginx.
nginx_stop() {
	world_stop nginx
}
