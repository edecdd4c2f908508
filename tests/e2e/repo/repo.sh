#!/usr/bin/env bash
# uptane-repo as people use it: the normal flow, every command, wrong input, kills at every step. What
# it writes is judged by jq, openssl and sha256sum, not by our own code. Argument: the program.
set -u
repo=$(readlink -f "${1:?usage: repo.sh UPTANE-REPO}")
for tool in jq openssl sha256sum; do
	command -v "$tool" >/dev/null || { echo "skipped: no $tool (scripts/install-deps)"; exit 77; }
done
tmp=$(mktemp -d) || exit 1
trap 'chmod -R u+w "$tmp" 2>/dev/null; rm -rf "$tmp"' EXIT
cd "$tmp" || exit 1
failures=0
n=0
unset SOURCE_DATE_EPOCH

fail() {
	echo "FAIL: $*"
	failures=$((failures + 1))
}

# ok WHAT COMMAND...: it must succeed without a word on stderr.
ok() {
	local what=$1
	shift
	n=$((n + 1))
	"$@" >out 2>err || { fail "$what: exit $?: $(cat err)"; return; }
	[ ! -s err ] || fail "$what: stderr: $(cat err)"
}

# warns WHAT TEXT COMMAND...: it must succeed, with that warning.
warns() {
	local what=$1 text=$2
	shift 2
	n=$((n + 1))
	"$@" >out 2>err || { fail "$what: exit $?: $(cat err)"; return; }
	grep -q "^uptane-repo: warning: .*$text" err || fail "$what: no warning '$text': $(cat err)"
}

# refuses WHAT CODE TEXT COMMAND...: that exit code, one line on stderr, nothing else changed.
refuses() {
	local what=$1 code=$2 text=$3 got before after
	shift 3
	n=$((n + 1))
	before=$(state)
	"$@" >out 2>err
	got=$?
	after=$(state)
	[ $got -eq "$code" ] || fail "$what: exit $got, not $code: $(cat err)"
	[ "$(wc -l <err)" -eq 1 ] || fail "$what: not one line: $(cat err)"
	grep -q "^uptane-repo: .*$text" err || fail "$what: no '$text' in: $(cat err)"
	[ "$before" = "$after" ] || fail "$what: the workspace changed"
}

is() {
	n=$((n + 1))
	[ "$2" = "$3" ] || fail "$1: '$2', not '$3'"
}

# Everything that a command may change; images/ may gain a copy that nothing names.
state() {
	local dir
	for dir in w several; do
		[ ! -d $dir ] ||
			find $dir -type f ! -path "$dir/images/*" ! -name '.incoming' -print0 | sort -z | xargs -0 -r sha256sum
	done
}

signed() { jq -cS .signed "$1"; }
version() { jq .signed.version "$1"; }
public_version() { version w/metadata/"$1".json; }
R() { "$repo" -C w "$@"; }

# shellcheck disable=SC2001,SC2059 # two digits at a time; the format is the value
hex_to_bytes() { printf "$(sed 's/../\\x&/g' <<<"$1")"; }

# Ed25519 public key (hex) as a PEM that openssl reads.
ed25519_pem() {
	{
		echo "-----BEGIN PUBLIC KEY-----"
		hex_to_bytes "302a300506032b6570032100$1" | base64
		echo "-----END PUBLIC KEY-----"
	}
}

# verified FILE DEFINER [ROLE]: sets good to the number of signatures of the role's keys that openssl
# finds good over the bytes that jq calls canonical, and enough to the threshold. DEFINER is a root, or
# delegating targets; ROLE is FILE's _type unless given.
verified() {
	local sig type pub
	good=0
	jq -cS .signed "$1" | tr -d '\n' >msg
	jq -r --slurpfile d "$2" --arg name "${3-}" '
		$d[0].signed as $d
		| (if $d._type == "root"
			then [$d.keys, $d.roles[.signed._type]]
			else [$d.delegations.keys, ($d.delegations.roles[]
				| select(.name == $name), (.roleinfo[]? | select(.rolename == $name)))] end) as [$keys, $role]
		| $role.threshold,
			(.signatures[] | select(.keyid | IN($role.keyids[]))
			| [.sig, $keys[.keyid].keytype, ($keys[.keyid].keyval.public | @base64)] | @tsv)' "$1" >sigs
	{
		read -r enough
		while IFS=$'\t' read -r sig type pub; do
			hex_to_bytes "$sig" >sig.bin
			base64 -d <<<"$pub" >pub.txt
			case $type in
			ed25519)
				ed25519_pem "$(<pub.txt)" >pub.pem
				openssl pkeyutl -verify -pubin -inkey pub.pem -rawin -in msg -sigfile sig.bin
				;;
			rsa) openssl dgst -sha256 -sigopt rsa_padding_mode:pss -verify pub.txt -signature sig.bin msg ;;
			ecdsa) openssl dgst -sha256 -verify pub.txt -signature sig.bin msg ;;
			*) false ;;
			esac >/dev/null 2>&1 && good=$((good + 1))
		done
	} <sigs
	[ "$good" -ge "${enough:-1}" ]
}

# chain DIR: the whole published repository by plain reading; complains on stdout.
chain() {
	local d=$1 v=1 root file name
	while [ -f "$d/$v.root.json" ]; do
		root=$d/$v.root.json
		[ "$(version "$root")" = $v ] || echo "$root: version"
		verified "$root" "$root" || echo "$root: own threshold"
		[ $v -eq 1 ] || verified "$root" "$d/$((v - 1)).root.json" || echo "$root: threshold of the root before"
		v=$((v + 1))
	done
	[ $v -gt 1 ] || { echo "no root"; return; }
	for name in timestamp snapshot targets; do
		case $name in
		timestamp) file=$d/timestamp.json ;;
		snapshot) file=$(newest "$d" snapshot) ;;
		targets) file=$(newest "$d" targets) ;;
		esac
		verified "$file" "$root" || echo "$file: threshold"
		[ "$(jq -r .signed._type "$file")" = $name ] || echo "$file: _type"
	done
	listed "$d" "$d/timestamp.json"
	listed "$d" "$(newest "$d" snapshot)"
}

# newest DIR ROLE: the file that timestamp and snapshot lead to.
newest() {
	local snapshot
	snapshot=$1/$(jq '.signed.meta["snapshot.json"].version' "$1/timestamp.json").snapshot.json
	if [ "$2" = snapshot ]; then
		echo "$snapshot"
	else
		echo "$1/$(jq --arg f "$2.json" '.signed.meta[$f].version' "$snapshot").$2.json"
	fi
}

# listed DIR FILE: every file that FILE lists is there, with its length and hash.
listed() {
	local d=$1 name v length hash
	while IFS=$'\t' read -r name v length hash; do
		local file="$d/$v.$name"
		[ -f "$file" ] || { echo "$2 lists $file, which is not there"; continue; }
		[ "$(wc -c <"$file")" = "$length" ] || echo "$file: length"
		[ "$(sha256sum <"$file" | cut -c-64)" = "$hash" ] || echo "$file: hash"
		[ "$(version "$file")" = "$v" ] || echo "$file: version"
	done < <(jq -r '.signed.meta | to_entries[] | [(.key | rtrimstr(".json") | @uri) + ".json", .value.version, .value.length, .value.hashes.sha256] | @tsv' "$2")
}

# delegated DIR ROLE: good signatures of a delegated role's newest published document.
delegated() {
	verified "$(newest "$1" "$2")" "$(newest "$1" targets)" "$2"
	echo "$good"
}

# ---- help and typos ----
ok "overview" "$repo" --help
is "overview lists the commands" "$(grep -c -E '^  (init|key generate|target add|delegate|sign|publish|rotate|verify) ' out)" 8
for c in init status "key generate" "key import" "key show" "key list" "target add" "target remove" "target list" \
	delegate undelegate sign rotate cosign import publish verify; do
	# shellcheck disable=SC2086 # two words are two arguments
	ok "$c --help" "$repo" $c --help
	grep -q "^Usage: uptane-repo \[-C DIR\] $c" out || fail "$c --help: no usage line"
done
ok "help of a group" "$repo" target --help
ok "version" "$repo" --version
refuses "no command" 2 "missing command" "$repo"
refuses "typo" 2 "did you mean publish?" "$repo" pubish
refuses "typo in a group" 2 "did you mean target list?" "$repo" target lsit
refuses "group alone" 2 "target needs one of: add, remove, list" "$repo" target
refuses "nonsense" 2 'see "uptane-repo --help"' "$repo" xyzzyxyzzy
refuses "unknown option" 2 "did you mean --root-keys?" "$repo" init --rot-keys 3
refuses "option without value" 2 "needs a value" "$repo" init --root-keys
refuses "not a workspace" 4 "no repo.json" "$repo" status
refuses "no such folder" 4 "No such file" "$repo" -C nowhere status

# ---- init ----
refuses "threshold above keys" 2 "can never be met" "$repo" -C w init --root-keys 2 --root-threshold 3
refuses "bad key type" 2 "dsa is not one of" "$repo" -C w init --key-type dsa
refuses "bad type" 2 "neither image nor director" "$repo" -C w init --type images
refuses "bad days" 2 "no number" "$repo" -C w init --expires root=never
refuses "no days" 2 "not ROLE=DAYS" "$repo" -C w init --expires root
[ ! -e w ] || fail "a refused init made w"
mkdir full && touch full/x
refuses "folder that is not empty" 2 "not empty" "$repo" -C full init
ok "init" "$repo" -C w init --root-keys 3 --root-threshold 2 --expires timestamp=2 --hash sha512
refuses "init again" 2 "already" R init
is "private keys are private" "$(stat -c %a w/keys/*.pem | sort -u)" 600
is "keys/ is private" "$(stat -c %a w/keys)" 700
is "root version" "$(public_version root)" 1
is "root threshold" "$(jq -c '.signed.roles.root | [.threshold, (.keyids | length)]' w/metadata/root.json)" "[2,3]"
is "consistent snapshots" "$(jq .signed.consistent_snapshot w/metadata/root.json)" true
refuses "verify before publish" 4 "nothing published" R verify
ok "first publish" R publish
is "first publication" "$(chain w/public)" ""
ok "verify" R verify

# ---- key ids are the SHA-256 of the SPKI ----
ed25519_pem "$(jq -r .keyval.public w/keys/targets-1.json)" >p.pem
is "key id" "$(openssl pkey -pubin -in p.pem -outform DER | sha256sum | cut -c-64)" \
	"$(R key list | awk -F'\t' '$1 == "targets-1" { print $3 }')"

# ---- targets ----
head -c 100000 /dev/urandom >fw.bin
echo '{"uri": "https://ignored.example", "note": {"en": "größe", "n": 9007199254740991}}' >custom.json
ok "target add" R target add fw.bin --name gw/fw-1.0.bin --hardware-id gw-1 --hardware-id gw-2 --format binary \
	--release-counter 7 --custom custom.json
is "nothing is visible before publish" "$(jq -c .signed.targets w/public/1.targets.json)" "{}"
ok "ostree target" R target add --name os --format OSTREE --sha256 "$(printf c | sha256sum | cut -c-64)"
ok "oci target" R target add --name app --format OCI --sha256 "$(printf m | sha256sum | cut -c-64)" --length 527 \
	--uri registry.example/app --custom '{"note":1}'
ok "publish targets" R publish
is "publication with targets" "$(chain w/public)" ""
is "only what changed was signed" "$(public_version root) $(public_version targets) $(public_version snapshot) $(public_version timestamp)" "1 2 2 2"
entry=$(jq -c '.signed.targets["gw/fw-1.0.bin"]' w/public/2.targets.json)
sha256=$(sha256sum fw.bin | cut -c-64)
sha512=$(sha512sum fw.bin | cut -c-128)
is "sha256" "$(jq -r .hashes.sha256 <<<"$entry")" "$sha256"
is "sha512" "$(jq -r .hashes.sha512 <<<"$entry")" "$sha512"
is "length" "$(jq .length <<<"$entry")" 100000
is "custom" "$(jq -cS .custom <<<"$entry")" \
	'{"hardwareIds":["gw-1","gw-2"],"note":{"en":"größe","n":9007199254740991},"releaseCounter":7,"targetFormat":"BINARY","uri":"https://ignored.example"}'
grep -q '"n":9007199254740991' w/public/2.targets.json || fail "2^53-1 is not printed exactly"
is "published bytes" "$(sha256sum <"w/public/targets/gw/$sha256.fw-1.0.bin" | cut -c-64)" "$sha256"
is "published bytes by sha512" "$(sha256sum <"w/public/targets/gw/$sha512.fw-1.0.bin" | cut -c-64)" "$sha256"
is "ostree length" "$(jq '.signed.targets.os.length' w/public/2.targets.json)" 0
is "oci uri" "$(jq -r '.signed.targets.app.custom.uri' w/public/2.targets.json)" registry.example/app
is "list" "$(R target list | cut -f2 | tr '\n' ' ')" "app gw/fw-1.0.bin os "
is "list --json" "$(R target list --json --role targets | jq -r 'select(.name == "os") | .custom.targetFormat')" OSTREE
ok "the same again" R target add fw.bin --name gw/fw-1.0.bin --hardware-id gw-1 --hardware-id gw-2 --format binary \
	--release-counter 7 --custom custom.json
grep -q '^unchanged' out || fail "an unchanged target was staged: $(cat out)"
ok "publish without changes" R publish
is "only the timestamp is new" "$(public_version targets) $(public_version snapshot) $(public_version timestamp)" "2 2 3"
ok "verify images" R verify
grep -q '1 images hashed' out || fail "verify: $(cat out)"
ok "remove" R target remove os app
ok "publish removal" R publish
is "removed" "$(jq -c '.signed.targets | keys' w/public/3.targets.json)" '["gw/fw-1.0.bin"]'

refuses "missing file" 4 "cannot open nothing: No such file" R target add nothing
refuses "a folder" 4 "no regular file" R target add full
refuses "no source" 2 "missing FILE" R target add
refuses "no name" 2 "missing --name" R target add --sha256 "$sha256" --length 3
refuses "no length" 2 "missing --length" R target add --name x --sha256 "$sha256"
refuses "bad hash" 2 "no sha256" R target add --name x --sha256 abc --length 3
refuses "length above 2^53-1" 2 "no number" R target add --name x --sha256 "$sha256" --length 9007199254740992
refuses "negative length" 2 "no number" R target add --name x --sha256 "$sha256" --length=-1
refuses "two sources" 2 "are computed" R target add fw.bin --length 3
refuses "two files" 2 "unexpected argument" R target add fw.bin fw.bin
refuses "absolute name" 2 "absolute" R target add fw.bin --name /etc/passwd
refuses "name that climbs" 2 '".."' R target add fw.bin --name a/../../b
refuses "empty name" 2 "0 bytes" R target add fw.bin --name ""
refuses "name with a line break" 2 "control characters" R target add fw.bin --name $'a\nb'
refuses "name that is no UTF-8" 26 "UTF-8" R target add fw.bin --name $'a\xff'
refuses "bad format" 2 "not one of" R target add fw.bin --format ZIP
refuses "bad counter" 2 "release-counter" R target add fw.bin --release-counter 1.5
refuses "custom that is no object" 2 "no JSON object" R target add fw.bin --custom '{"a":1}]'
refuses "custom with a float" 26 "number with a fraction" R target add fw.bin --custom '{"a":1.5}'
refuses "custom with a key twice" 26 "" R target add fw.bin --custom '{"a":1,"a":2}'
refuses "custom file missing" 4 "No such file" R target add fw.bin --custom none.json
refuses "unknown role" 2 "no role supplier" R target add fw.bin --role supplier
refuses "role without targets" 2 "lists no targets" R target add fw.bin --role snapshot
refuses "ecu in an image repository" 2 "is for a Director" R target add fw.bin --ecu A=gw-1
refuses "remove what is not there" 2 "has no target zzz" R target remove zzz
refuses "remove nothing" 2 "missing NAME" R target remove

# ---- many ----
for i in $(seq 3000); do printf 'pkg/%d\t%064x\t%d\n' "$i" "$i" "$i"; done >many
ok "many" R target add --many many --hardware-id gw-9 --uri https://cdn.example/x
is "many are listed" "$(R target list | grep -c 'gw-9$')" 3000
ok "many from stdin" R target add --many - --hardware-id gw-9 --uri https://cdn.example/x <many
printf 'good\t%064x\t1\nbad\t12\t1\n' 1 >many2
refuses "bad line" 2 "many2:2: .*sha256" R target add --many many2
printf 'good %064x 1\n' 1 >many2
refuses "spaces for tabs" 2 "many2:1: not NAME<tab>" R target add --many many2
printf 'good\t%064x\t1\0more\n' 1 >many2
refuses "NUL in the list" 2 "NUL" R target add --many many2
refuses "many and a name" 2 "from its list only" R target add --many many --name x
ok "publish many" R publish
is "publication with many" "$(chain w/public)" ""
is "sorted, canonical text is served" "$(head -c 15 w/public/4.targets.json)" '{"signatures":['
is "served text is canonical" "$(signed w/public/4.targets.json | tr -d '\n' | sha256sum)" \
	"$(sed 's/^.*],"signed"://; s/}$//' w/public/4.targets.json | tr -d '\n' | sha256sum)"

# ---- keys and delegations ----
ok "key generate" R key generate supplier
ok "key generate ecdsa" R key generate supplier2 --type ecdsa
refuses "key twice" 2 "already" R key generate supplier
refuses "key name that climbs" 2 "key name" R key generate ../x
refuses "key type" 2 "not one of" R key generate y --type dsa
R key show supplier2 >their.json
ok "second workspace" "$repo" -C theirs init
ok "key import" "$repo" -C theirs key import friend their.json
refuses "the same key twice" 2 "are one key" "$repo" -C theirs key import friend2 their.json
is "imported key is away" "$("$repo" -C theirs key list | awk -F'\t' '$1 == "friend" { print $4 }')" away
echo '{"keytype":"ed25519"}' >broken.json
refuses "key that is none" 26 "no scheme" R key import b broken.json
refuses "key show of none" 2 "did you mean supplier?" R key show suplier
refuses "delegate without key" 2 "missing --key" R delegate vendor --path 'v/*'
refuses "delegate without path" 2 "missing --path" R delegate vendor --key supplier
refuses "delegate to an unknown key" 2 "did you mean supplier?" R delegate vendor --key supplie --path 'v/*'
refuses "delegate above keys" 2 "threshold of 2 with 1 keys" R delegate vendor --key supplier --threshold 2 --path 'v/*'
refuses "delegate to root" 2 "no name for a delegated role" R delegate root --key supplier --path 'v/*'
refuses "delegate to a root's file" 2 "no name for a delegated role" R delegate 2.root --key supplier --path 'v/*'
refuses "one key twice" 2 "named twice" R delegate vendor --key supplier --key supplier --path 'v/*'
refuses "delegate from nowhere" 2 "did you mean targets?" R delegate vendor --key supplier --path 'v/*' --from target
ok "delegate" R delegate vendor --key supplier --key supplier2 --threshold 2 --path 'v/*' --path 'w/*' \
	--hardware-id gw-1 --terminating
refuses "delegate again" 2 "delegates to vendor already" R delegate vendor --key supplier --path 'v/*'
ok "delegate deeper" R delegate 'team a/b' --key supplier --path 'v/a/*' --from vendor
ok "target of a delegated role" R target add fw.bin --name v/x --role vendor
refuses "name outside the paths" 2 "no client would find it" R target add fw.bin --name z/x --role vendor
warns "name behind another slash" "profile ota" R target add fw.bin --name v/y/x --role vendor
ok "remove it" R target remove v/y/x --role vendor
ok "publish delegations" R publish
is "publication with delegations" "$(chain w/public)" ""
is "both keys of the role signed" "$(delegated w/public vendor)" 2
is "terminating, paths, hardware" "$(jq -c '.signed.delegations.roles[0] | [.terminating, .paths, .hardwareIds]' w/public/5.targets.json)" \
	'[true,["v/*","w/*"],["gw-1"]]'
[ -f 'w/public/1.team%20a%2Fb.json' ] || fail "no percent-encoded role: $(ls w/public)"
is "nested roles are in the snapshot" "$(jq -r '.signed.meta["team a/b.json"].version' w/public/5.snapshot.json)" 1
ok "verify delegations" R verify
ok "rotate a delegated role" R rotate vendor --replace supplier2 --new-key-type rsa
ok "publish rotation" R publish
is "publication after it" "$(chain w/public)" ""
is "the new keys signed" "$(delegated w/public vendor)" 2
is "the former key is gone" "$(jq '.signed.delegations.keys | length' w/public/6.targets.json)" 2
ok "undelegate" R undelegate 'team a/b'
ok "publish the end" R publish
is "it stays in the snapshot" "$(jq -r '.signed.meta["team a/b.json"].version' w/public/7.snapshot.json)" 1
refuses "a role that ended" 2 "no longer delegated" R target add fw.bin --name v/a/x --role 'team a/b'
ok "verify after it" R verify

# ---- signing ----
ok "sign targets" R sign targets --expires 2099-01-01T00:00:00Z
is "expiry" "$(jq -r .signed.expires w/metadata/targets.json)" 2099-01-01T00:00:00Z
ok "publish it" R publish
is "published expiry" "$(jq -r .signed.expires "w/public/$(public_version targets).targets.json")" 2099-01-01T00:00:00Z
ok "sign snapshot" R sign snapshot --expires-in 86400
ok "sign root with two keys" R sign root --key root-1 --key root-3
is "two signatures" "$(jq '.signatures | length' w/metadata/root.json)" 2
refuses "sign root with one" 3 "needs signatures of 2 keys, only 1 given" R sign root --key root-1
refuses "sign with another role's key" 2 "no key of role root" R sign root --key targets-1
refuses "sign with no key" 2 "no key named nobody" R sign root --key nobody
refuses "sign an unknown role" 2 "did you mean targets?" R sign targts
refuses "bad time" 2 "no time like" R sign targets --expires 2099-01-01
refuses "two times" 2 "exclude" R sign targets --expires 2099-01-01T00:00:00Z --expires-in 5
ok "publish root" R publish
is "publication of a new root" "$(chain w/public)" ""
warns "sign an expired timestamp" "already expired" R sign timestamp --expires 2020-01-01T00:00:00Z
warns "publish it as it is" "expired" R publish
is "expired timestamp is published" "$(jq -r .signed.expires w/public/timestamp.json)" 2020-01-01T00:00:00Z
refuses "verify sees the freeze" 22 "expired" R verify
ok "publish refreshes it" R publish
ok "verify again" R verify

# ---- missing and wrong keys ----
mkdir safe
mv w/keys/root-1.pem w/keys/root-2.pem safe/
id=$(R key list | awk -F'\t' '$1 == "root-1" { print substr($3, 1, 16) }')
refuses "root without its keys" 3 "role root needs signatures of 2 keys, 1 here.*root-1 (key id $id" R rotate snapshot
ok "publishing needs no root key" R publish
mv safe/root-2.pem w/keys/
ok "two of three are enough" R rotate snapshot
ok "publish without the first" R publish
is "publication with a new snapshot key" "$(chain w/public)" ""
mv safe/root-1.pem w/keys/
cp w/keys/targets-1.pem save.pem
cp w/keys/snapshot-1.pem w/keys/targets-1.pem
refuses "exchanged key" 3 "as keys/targets-1.json says" R sign targets
cp save.pem w/keys/targets-1.pem
chmod 644 w/keys/targets-1.pem
refuses "readable key" 3 "targets-1.pem" R sign targets
chmod 600 w/keys/targets-1.pem

# ---- rotation ----
ok "rotate timestamp" R rotate timestamp --new-key-type ecdsa
ok "publish rotated timestamp" R publish
is "publication with an ecdsa timestamp" "$(chain w/public)" ""
verified w/public/timestamp.json "w/public/$(($(public_version root) - 1)).root.json" ||
	fail "the timestamp does not satisfy the root before the rotation"
ok "rotate root" R rotate root --new-key-type rsa
is "old and new keys sign" "$(jq '.signatures | length' w/metadata/root.json)" 6
ok "rotate targets before publishing" R rotate targets
ok "publish both" R publish
is "publication after two rotations" "$(chain w/public)" ""
ok "verify from the first root" R verify --root w/public/1.root.json
grep -q "verified root version $(public_version root)" out || fail "verify did not follow every root"
ok "a spare key" R key generate spare
ok "add a key" R rotate targets --add spare
ok "raise the threshold" R rotate targets --threshold 2
refuses "remove below the threshold" 2 "threshold of 2 with 1 keys" R rotate targets --remove spare
refuses "remove what is no key of it" 2 "no key of role targets" R rotate targets --remove supplier
refuses "add what is one" 2 "holds role targets already" R rotate targets --add spare
ok "publish with two keys" R publish
is "two signatures of targets" "$(chain w/public)$(jq '.signatures | length' "w/public/$(public_version targets).targets.json")" 2
ok "back to one" R rotate targets --remove spare --threshold 1
ok "publish with one key" R publish
is "unused keys leave the root" "$(jq '.signed.keys | length' w/metadata/root.json)" 6
ok "status" R status
grep -q '^root .*3 here' out || fail "status: $(cat out)"

# ---- keys that never come here: a supplier's role, and a ceremony ----
ok "the supplier's workspace" "$repo" -C sup init --type image
ok "the supplier's image" "$repo" -C sup target add fw.bin --name lidar/1.bin --hardware-id lidar-3
ok "the supplier signs" "$repo" -C sup publish
"$repo" -C sup key show targets-1 >lidar.json
ok "import the supplier's key" R key import lidar lidar.json
ok "delegate to the supplier" R delegate lidar --key lidar --path 'lidar/*'
refuses "nobody signs in its place" 3 "role lidar needs signatures of 1 keys, 0 here" R publish
refuses "another one's document" 20 "not signed as it must be" R import lidar theirs/metadata/targets.json
refuses "a document of another role" 23 "" R import lidar sup/metadata/snapshot.json
refuses "no such file" 4 "No such file" R import lidar nothing.json
ok "import the supplier's document" R import lidar sup/metadata/targets.json --images sup/public/targets
grep -q 'imported 1 images' out || fail "import: $(cat out)"
refuses "import it twice" 21 "does not follow" R import lidar sup/metadata/targets.json
ok "publish the supplier's role" R publish
is "publication with it" "$(chain w/public)$(delegated w/public lidar)" 1
is "it is as the supplier signed it" "$(diff sup/metadata/targets.json "$(newest w/public lidar)")" ""
is "its image is published" "$(sha256sum <"w/public/targets/lidar/$sha256.1.bin" | cut -c-64)" "$sha256"
ok "verify it" R verify
printf altered >"sup/public/targets/lidar/$sha256.1.bin.new"
mv "sup/public/targets/lidar/$sha256.1.bin.new" "sup/public/targets/lidar/$sha256.1.bin"
ok "the supplier signs again" "$repo" -C sup sign targets
refuses "an image that is another" 20 "is not the image" R import lidar sup/metadata/targets.json --images sup/public/targets
ok "without its images" R import lidar sup/metadata/targets.json
for change in '.targets["../../evil"] = .targets["lidar/1.bin"]' \
	'.delegations = {"keys": {}, "roles": [{"name": "9.root", "keyids": ["k"], "threshold": 1, "paths": ["*"], "terminating": false}]}'; do
	jq -c ".signed |= ($change | .version += 1)" sup/metadata/targets.json >evil.json
	ok "a hostile supplier signs" "$repo" cosign evil.json sup/keys/targets-1.pem
	refuses "its names are refused: $change" 2 "name" R import lidar evil.json
done
refuses "a snapshot is not imported" 2 "follows from the rest" R import snapshot w/metadata/snapshot.json

mv w/keys/root-[0-9]*.pem safe/
mapfile -t holders < <(R key list | awk -F'\t' '$5 == "root" { print "safe/" $1 ".pem" }')
is "three root keys are in the safe" "$(stat -c x "${holders[@]}" | wc -l)" 3
before=$(public_version root)
ok "prepare a root" R rotate timestamp --output root.json
is "nothing is taken over" "$(public_version root)" "$before"
is "no signature yet" "$(jq '.signatures | length' root.json)" 0
ok "first holder" "$repo" cosign root.json "${holders[0]}"
ok "first holder again" "$repo" cosign root.json "${holders[0]}"
is "one signature" "$(jq '.signatures | length' root.json)" 1
refuses "too few" 20 "not signed as it must be" R import root root.json
ok "second holder" "$repo" cosign root.json "${holders[1]}"
jq -c '.signed.expires = "2098-01-01T00:00:00Z"' root.json >forged.json
refuses "an altered root" 20 "not signed as it must be" R import root forged.json
refuses "cosign what is none" 26 "no metadata" "$repo" cosign w/repo.json "${holders[0]}"
refuses "cosign without a key" 4 "No such file" "$repo" cosign root.json safe/none.pem
ok "import the root" R import root root.json
is "it is the root now" "$(public_version root)" $((before + 1))
refuses "import the root again" 21 "does not follow" R import root root.json
ok "publish with the new root" R publish
is "publication after a ceremony" "$(chain w/public)" ""
ok "verify after a ceremony" R verify
refuses "a delegated role has no root of its own" 2 "is staged in targets" R rotate lidar --output x.json
ok "stage a target for two signers" R target add fw.bin --name two
ok "targets for others to sign" R sign targets --output targets.json
ok "import them with the staged change in them" R import targets targets.json
is "nothing stays staged" "$(find w/staged -type f | wc -l)" 0
ok "stage another" R target add fw.bin --name three
ok "for others" R sign targets --output targets.json
ok "and one more behind their back" R target add fw.bin --name four
refuses "changes that the document lacks" 2 "other changes staged" R import targets targets.json
ok "publish the rest" R publish
is "both are there" "$(jq -c '.signed.targets | [has("three"), has("four")]' "$(newest w/public targets)")" '[true,true]'
mv safe/root-*.pem w/keys/

# ---- what was published is never changed or taken back ----
cp -a w old
ok "go on" R publish
mv w new && mv old w
rm -rf w/public && cp -a new/public w/public
refuses "a restored backup" 21 "older than what was published" R publish
rm -rf w && mv new w
cp -a w/public keep
v=$(public_version targets)
echo '{}' >"w/public/$v.targets.json"
refuses "an altered file" 23 "nothing may be published twice" R publish
cp "keep/$v.targets.json" w/public/
rm -rf w/public
ok "a lost folder is published again" R publish
is "publication of a lost folder" "$(chain w/public)" ""
is "every root is back" "$(find w/public -name '*.root.json' | wc -l)" "$(public_version root)"
rm -rf keep
printf x | dd of="$(find w/public/targets/gw -name "$sha256.*")" conv=notrunc status=none 2>/dev/null
refuses "verify sees altered bytes" 20 "is not the image" R verify

# ---- settings ----
cp w/repo.json save.json
jq '.consistent_snapshot = false' save.json >w/repo.json
refuses "no inconsistent snapshots" 3 "consistent_snapshot" R publish
jq '.expires_days.root = 0' save.json >w/repo.json
refuses "bad days in repo.json" 3 "expires_days.root" R publish
echo '{' >w/repo.json
refuses "broken repo.json" 26 "repo.json" R publish
cp save.json w/repo.json
refuses "bad clock" 3 "SOURCE_DATE_EPOCH" env SOURCE_DATE_EPOCH=soon "$repo" -C w publish
exec 9<w
flock 9
refuses "two at once" 8 "another uptane-repo" R publish
exec 9<&-

# ---- several roles that must agree ----
S() { "$repo" -C several "$@"; }
several=(--role release --key release --role qa --key qa --key qa2 --threshold 2 --role ci --key ci)
ok "a workspace for them" S init
for key in release qa qa2 ci; do
	ok "key $key" S key generate $key
done
refuses "a role without a key" 2 "missing --key of role qa" S delegate apps --role release --key release --role qa --path 'app/*'
refuses "a key before its role" 2 "stand before it" S delegate apps --key release --role qa --path 'app/*'
refuses "one role twice" 2 "role qa is named twice" S delegate apps --role qa --key qa --role qa --key ci --path 'app/*'
refuses "one key in two roles" 2 "agree with himself" S delegate apps --role qa --key qa --role ci --key qa --path 'app/*'
refuses "more to agree than there are" 2 "4 roles to agree, of 3" S delegate apps "${several[@]}" --agree 4 --path 'app/*'
refuses "none to agree" 2 "agree" S delegate apps "${several[@]}" --agree 0 --path 'app/*'
refuses "one to agree" 2 "needs more than one --role" S delegate apps --key qa --agree 1 --path 'app/*'
refuses "a top-level role among them" 2 "no name for a delegated role" S delegate apps --role root --key qa --path 'app/*'
refuses "an unknown key" 2 "no key named nobody" S delegate apps --role qa --key nobody --path 'app/*'
ok "delegate to several" S delegate apps "${several[@]}" --agree 2 --path 'app/*' --terminating
is "it says how many" "$(cat out)" "staged the delegation apps from targets (2 of 3 roles must agree)"
refuses "the same name" 2 "has a delegation apps already" S delegate apps --key ci --path 'x/*'
refuses "one of its roles again" 2 "delegates to qa already" S delegate qa --key ci --path 'x/*'
for role in release qa; do
	ok "target of $role" S target add fw.bin --name app/fw --role $role
done
refuses "outside the paths" 2 "no client would find it" S target add fw.bin --name other/fw --role ci
ok "publish several" S publish
is "the shape of TAP 3" "$(jq -c '.signed.delegations.roles[0] |
	[keys, .name, .min_roles_in_agreement, .terminating, [.roleinfo[] | [.rolename, .threshold, (.keyids | length)]]]' several/public/2.targets.json)" \
	'[["min_roles_in_agreement","name","paths","roleinfo","terminating"],"apps",2,true,[["release",1,1],["qa",2,2],["ci",1,1]]]'
is "each role has its own signatures" "$(delegated several/public release)$(delegated several/public qa)$(delegated several/public ci)" 121
ok "publish again" S publish
is "they are not signed again" "$(version "$(newest several/public qa)")$(version "$(newest several/public ci)")" 11
ok "verify several" S verify
is "verify reads each of them" "$(grep -cE '^verified (release|qa|ci) version 1$' out)" 3
is "verify shows it" "$(grep -c '^apps lets 3 roles list targets on which 2 agree$' out)" 1
is "a key's role among several" "$(S key list | awk -F'\t' '$1 == "qa2" { print $5 }')" qa
refuses "another role's key for one of several" 2 "agree with himself" S rotate qa --add ci
ok "rotate one of several" S rotate qa --replace qa2
ok "publish its new key" S publish
is "it signed" "$(delegated several/public qa)" 2
ok "verify the new key" S verify
refuses "one of several does not end alone" 2 "end apps, the delegation to all" S undelegate qa
ok "undelegate several" S undelegate apps
ok "publish their end" S publish
is "no delegation is left" "$(jq -c .signed.delegations "$(newest several/public targets)")" null
refuses "a role of it that ended" 2 "no longer delegated" S target add fw.bin --name app/x --role qa
ok "delegate to one of them alone" S delegate qa --key qa --path 'app/*'
ok "publish that" S publish
ok "verify that" S verify

# ---- director ----
ok "director" "$repo" -C d init --type director
refuses "a Director never delegates" 2 "must not delegate" "$repo" -C d delegate x --key targets-1 --path '*'
ok "assign" "$repo" -C d target add fw.bin --ecu SERIAL-1=gw-1 --ecu SERIAL-2=gw-2
ok "publish director" "$repo" -C d publish
is "ecus" "$(jq -c '.signed.targets["fw.bin"].custom.ecuIdentifiers' d/public/2.targets.json)" \
	'{"SERIAL-1":{"hardwareId":"gw-1"},"SERIAL-2":{"hardwareId":"gw-2"}}'
ok "verify director" "$repo" -C d verify

# ---- the same keys, clock and commands give the same bytes ----
ok "init for reproduction" env SOURCE_DATE_EPOCH=1700000000 "$repo" -C r1 init
cp -a r1 r2
for r in r1 r2; do
	ok "target in $r" env SOURCE_DATE_EPOCH=1700000100 "$repo" -C $r target add fw.bin
	ok "publish $r" env SOURCE_DATE_EPOCH=1700000200 "$repo" -C $r publish
done
is "reproducible" "$(diff -r r1 r2)" ""
is "fixed clock" "$(jq -r .signed.expires r1/public/timestamp.json)" 2023-11-21T22:16:40Z

# ---- full disk and refused writes ----
rm -rf w
ok "a small workspace" R init
ok "published" R publish
head -c 3000000 /dev/zero >big
refuses "file size limit" 4 "copying big" bash -c "ulimit -f 1000; exec '$repo' -C w target add big"
[ ! -e w/images/.incoming ] || fail "a failed copy left its temporary"
if unshare -m true 2>/dev/null; then
	refuses "full disk" 4 "No space left" unshare -m bash -c "
		mkdir -p small && mount -t tmpfs -o size=1m none small && cp -a w/. small/ &&
		dd if=/dev/zero of=small/fill bs=4k 2>/dev/null; sync
		'$repo' -C small publish; code=\$?
		rm small/fill
		'$repo' -C small publish >/dev/null && '$repo' -C small verify >/dev/null || exit 99
		exit \$code"
fi
refuses "output that goes nowhere" 4 "cannot write the output" bash -c "'$repo' -C w status >/dev/full"

# ---- a kill at every rename, and between others ----
kill_at() {
	ASAN_OPTIONS=detect_leaks=0 strace -f -o /dev/null -e trace="$1" -e inject="$1:signal=KILL:when=$2" \
		"$repo" -C "$3" "${@:4}" >/dev/null 2>&1
}
if ASAN_OPTIONS=detect_leaks=0 strace -o /dev/null "$repo" --version >/dev/null 2>&1; then
	cp -a w base
	"$repo" -C base target add fw.bin --name second >/dev/null
	"$repo" -C base rotate timestamp >/dev/null
	is "before the kills" "$(chain base/public)" ""
	# Every rename, and every third removal and sync: the states differ at the renames.
	for step in renameat:1 unlinkat:3 fsync:4; do
		call=${step%:*}
		for when in $(seq 1 "${step#*:}" 120); do
			rm -rf k && cp -a base k
			kill_at "$call" "$when" k publish 2>/dev/null
			code=$?
			is "killed at $call $when: what clients see" "$(chain k/public)" ""
			ok "killed at $call $when: the next publish" "$repo" -C k publish
			is "killed at $call $when: the end" "$(chain k/public)$(find k -name '.commit*' | wc -l)" 0
			is "killed at $call $when: the release" "$(jq -c '.signed.targets | keys' k/public/2.targets.json)" '["second"]'
			[ $code -ne 0 ] || break
		done
		[ "$code" -eq 0 ] || fail "publish has more than 120 $call"
		[ "$when" -gt 3 ] || fail "publish has only $when $call"
	done
	for when in $(seq 200); do
		rm -rf k
		kill_at renameat "$when" k init 2>/dev/null
		code=$?
		[ -e k/repo.json ] || ok "killed in init at $when: again" "$repo" -C k init
		ok "killed in init at $when: publish" "$repo" -C k publish
		[ $code -ne 0 ] || break
	done
else
	echo "note: strace cannot trace here, no kills tried"
fi

if [ $failures -ne 0 ]; then
	echo "$failures of $n checks failed"
	exit 1
fi
echo "$n checks passed"
