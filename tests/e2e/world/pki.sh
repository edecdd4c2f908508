# shellcheck shell=bash
# TEST certificates of a test world. Sourced after procs.sh. Prints nothing on stdout.
#
#   pki_make DIR VEHICLE_ID   a TEST CA and what it signs: ca.pem, server.pem server.key (127.0.0.1, localhost, ::1, 10.0.2.100),
#                             device.pem device.key (CN=VEHICLE_ID), operator.pem operator.key (CN=operator), and
#                             wrong-ca.pem, which signed none of them; exports PKI_DIR

# Writes the extensions of CA, server and client certificates into $1; no openssl.cnf of the machine is used.
pki_config() {
	cat >"$1" <<-'END'
		[req]
		distinguished_name = dn
		[dn]
		[ca]
		basicConstraints = critical,CA:TRUE
		keyUsage = critical,keyCertSign,cRLSign
		subjectKeyIdentifier = hash
		[server]
		basicConstraints = critical,CA:FALSE
		keyUsage = critical,digitalSignature
		extendedKeyUsage = serverAuth
		subjectAltName = IP:127.0.0.1,IP:::1,IP:10.0.2.100,DNS:localhost
		subjectKeyIdentifier = hash
		authorityKeyIdentifier = keyid
		[client]
		basicConstraints = critical,CA:FALSE
		keyUsage = critical,digitalSignature
		extendedKeyUsage = clientAuth
		subjectKeyIdentifier = hash
		authorityKeyIdentifier = keyid
	END
}

# Makes the self-signed CA $2.pem with key $2.key and name $3 in directory $1.
pki_ca() {
	openssl req -x509 -config "$1/openssl.cnf" -extensions ca -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-sha256 -days 3650 -subj "/O=uptaned TEST/CN=$3" -keyout "$1/$2.key" -out "$1/$2.pem"
}

# Makes a certificate $2.pem with key $2.key and common name $3, extensions $4, signed by ca in directory $1.
pki_leaf() {
	openssl req -new -config "$1/openssl.cnf" -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-subj "/O=uptaned TEST/CN=$3" -keyout "$1/$2.key" -out "$1/$2.csr" &&
		openssl x509 -req -in "$1/$2.csr" -CA "$1/ca.pem" -CAkey "$1/ca.key" -set_serial "0x$(openssl rand -hex 15)" \
			-extfile "$1/openssl.cnf" -extensions "$4" -sha256 -days 3650 -out "$1/$2.pem" &&
		rm "$1/$2.csr"
}

# Makes all TEST keys and certificates below $1 for the vehicle named $2.
pki_make() {
	local dir=$1 vehicle=$2
	case $vehicle in
	'' | *[!A-Za-z0-9._:-]*) world_log "bad vehicle id '$vehicle'"; return 1 ;;
	esac
	mkdir -p "$dir"
	chmod 700 "$dir"
	pki_config "$dir/openssl.cnf"
	if ! { pki_ca "$dir" ca 'TEST CA, not a secret' && pki_ca "$dir" wrong-ca 'unrelated TEST CA' &&
		pki_leaf "$dir" server localhost server && pki_leaf "$dir" device "$vehicle" client &&
		pki_leaf "$dir" operator operator client; } >>"$WORLD_W/log/pki.log" 2>&1; then
		world_log "certificates failed, see $WORLD_W/log/pki.log"
		return 1
	fi
	export PKI_DIR=$dir
}
