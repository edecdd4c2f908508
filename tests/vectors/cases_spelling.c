/*
 * How keys, signatures and signed bytes may be spelt (0.1 to 0.3, docs/pouf.md): every key type and
 * method, hex and base64, and the three string forms of canonical JSON.
 */
#include <stdio.h>
#include "base/encode.h"
#include "cases.h"

/* ---- one document signed or written otherwise ---- */

static void
base64_signature(struct scene *s, enum upt_repo repo, const char *role)
{
	scene_signing(s, repo, role)->base64 = true;
}

static void
upper_case_signature(struct scene *s, enum upt_repo repo, const char *role)
{
	for (char *p = at(scene_signatures(s, repo, role), "0/sig")->valuestring; *p != '\0'; p++)
		*p = *p >= 'a' && *p <= 'f' ? (char)(*p - 'a' + 'A') : *p;
}

static void
no_method(struct scene *s, enum upt_repo repo, const char *role)
{
	scene_signing(s, repo, role)->no_method = true;
}

static void
upper_case_method(struct scene *s, enum upt_repo repo, const char *role)
{
	scene_signing(s, repo, role)->method = "ED25519";
}

static void
capital_type(struct scene *s, enum upt_repo repo, const char *role)
{
	char *type = at(scene_payload(s, repo, role), "_type")->valuestring;

	type[0] = (char)(type[0] - 'a' + 'A');
}

/* A string that is another text in each of the forms; its member sorts behind others as it should. */
static void
put_telling_string(struct scene *s, enum upt_repo repo, const char *role)
{
	set(scene_payload(s, repo, role), "note",
		str("tab\there, line\nbreak, del\x7f, \"quoted\\\", \xc3\xa9, \xf0\x9f\x9a\x97"));
}

static void
sign_in_form(struct scene *s, enum upt_repo repo, const char *role, enum upt_json_form form)
{
	put_telling_string(s, repo, role);
	scene_signing(s, repo, role)->form = form;
	scene_signing(s, repo, role)->other_form = true;
}

static void
olpc_form(struct scene *s, enum upt_repo repo, const char *role)
{
	sign_in_form(s, repo, role, UPT_JSON_OLPC);
}

static void
utf8_form(struct scene *s, enum upt_repo repo, const char *role)
{
	sign_in_form(s, repo, role, UPT_JSON_UTF8);
}

static void
ascii_form(struct scene *s, enum upt_repo repo, const char *role)
{
	sign_in_form(s, repo, role, UPT_JSON_ASCII);
}

/* Signed as canonical text, served with white space, other escapes and another order. */
static void
served_otherwise(struct scene *s, enum upt_repo repo, const char *role)
{
	scene_signatures(s, repo, role);
	replace(scene_text(s, repo, role), "\"spec_version\":\"1.0.0\",", "");
	replace(scene_text(s, repo, role), "{",
		"\t{ \"spec_version\" :\r\n\"\\u0031.0\\u002E0\",\n\"\\u0065xpires\" : \"2038-01-01T00:00:00Z\", ");
	replace(scene_text(s, repo, role), "\"expires\":\"2038-01-01T00:00:00Z\",", "");
}

/* Unknown members may be anything that is JSON, anywhere. */
static void
unknown_members(struct scene *s, enum upt_repo repo, const char *role)
{
	set(scene_payload(s, repo, role), "x-future", cJSON_Parse("{\"a\":[1,null,true,{\"b\":\"c\"}]}"));
	set(scene_signatures(s, repo, role), "0/x-future", cJSON_Parse("[{}]"));
	replace(scene_bytes(s, repo, role), "{\"signatures\"", "{\"future\":[0],\"signatures\"");
}

/* A signature by a method of later years, beside the good one: too long for any known here. */
static void
long_signature_beside(struct scene *s, enum upt_repo repo, const char *role)
{
	cJSON *list = scene_signatures(s, repo, role), *more = cJSON_CreateObject();
	char sig[4097];

	memset(sig, 'a', sizeof(sig) - 1);
	sig[sizeof(sig) - 1] = '\0';
	cJSON_AddStringToObject(more, "keyid", "future");
	cJSON_AddStringToObject(more, "method", "lattice-1");
	cJSON_AddStringToObject(more, "sig", sig);
	cJSON_InsertItemInArray(list, 0, more);
}

static void
stranger_signs_too(struct scene *s, enum upt_repo repo, const char *role)
{
	static char keys[80];

	snprintf(keys, sizeof(keys), "thief-1 %s-1", role);
	scene_signing(s, repo, role)->keys = keys;
}

#define PROVES "0.1 0.2"

static const struct variant variants[] = {
	{"signature-base64", "A signature in base64.", PROVES, EVERYWHERE | OTA_D_TARGETS | OTA_I_TEAM,
		base64_signature, NULL},
	{"signature-upper-case", "A signature in upper-case hex.", PROVES, D_TARGETS | I_ROOT | I_TEAM,
		upper_case_signature, NULL},
	{"signature-without-method", "A signature that names no method is by its key's.", PROVES, EVERYWHERE,
		no_method, NULL},
	{"method-upper-case", "Methods are read without regard to case.", PROVES, D_TIMESTAMP | I_TARGETS,
		upper_case_method, NULL},
	{"signature-of-later-method", "A long signature by a method unknown here hides no good one.", PROVES,
		EVERYWHERE, long_signature_beside, NULL},
	{"stranger-signs-too", "A stranger's signature does no harm beside a good one.", PROVES, EVERYWHERE,
		stranger_signs_too, NULL},
	{"capital-type", "_type may begin with a capital.", "0.2", EVERYWHERE | OTA_D_TARGETS, capital_type,
		NULL},
	{"form-olpc", "Signed in OLPC canonical JSON: only quote and backslash are escaped.", PROVES,
		EVERYWHERE | OTA_D_TARGETS, olpc_form, NULL},
	{"form-utf8", "Signed with JSON escapes and raw UTF-8.", PROVES, EVERYWHERE | OTA_D_TARGETS,
		utf8_form, NULL},
	{"form-ascii", "Signed with JSON escapes and \\u above ASCII.", PROVES, EVERYWHERE | OTA_D_TARGETS,
		ascii_form, NULL},
	{"served-otherwise", "Order, white space and escapes of the served text are free: the canonical text is signed.",
		PROVES, EVERYWHERE | OTA_D_TARGETS, served_otherwise, NULL},
	{"unknown-members", "Members unknown here are ignored, in the envelope, a signature and the payload.",
		"0.2", EVERYWHERE | OTA_D_TARGETS, unknown_members, NULL},
};

/* ---- key types: every role of both repositories ---- */

static const char *const top_level[] = {"root", "timestamp", "snapshot", "targets"};

struct spelling {
	const char *name, *title;
	const char *key; /* as generator_key() knows it */
	const char *method; /* NULL: the key's own */
	const char *scheme; /* NULL: the method; "": none */
	const char *keytype; /* NULL: the usual one */
	bool hex; /* keyval.public as hex of SPKI DER */
	bool base64;
};

static const struct spelling spellings[] = {
	{"ed25519", "Ed25519.", "shared/plain", NULL, NULL, NULL, false, false},
	{"ed25519-no-scheme", "A key without a scheme has its type's method.", "shared/plain", NULL, "", NULL,
		false, false},
	{"ed25519-upper-case", "Key types are read without regard to case.", "shared/plain", "Ed25519", "ED25519",
		"ED25519", false, false},
	{"p256", "ECDSA on P-256 with SHA-256.", "shared/p256-1", NULL, NULL, NULL, false, false},
	{"p256-nistp256", "P-256 under its key type ecdsa-sha2-nistp256.", "shared/p256-1", NULL, NULL,
		"ecdsa-sha2-nistp256", false, true},
	{"p256-ecprime256v1", "P-256 under its key type ECPRIME256V1, method ecdsa, key in hex.", "shared/p256-1",
		"ecdsa", "", "ECPRIME256V1", true, true},
	{"p384", "ECDSA on P-384 with SHA-384.", "shared/p384-1", NULL, NULL, NULL, false, false},
	{"rsa-2048-sha256", "RSA-PSS of 2048 bits with SHA-256.", "shared/rsa-2048-1", NULL, NULL, NULL, false,
		false},
	{"rsa-2048-sha512", "RSA-PSS of 2048 bits with SHA-512.", "shared/rsa-2048-1", "rsassa-pss-sha512", NULL,
		NULL, false, false},
	{"rsa-3072-sha256", "RSA-PSS of 3072 bits with SHA-256.", "shared/rsa-3072-1", NULL, NULL, NULL, false,
		true},
	{"rsa-3072-sha512", "RSA-PSS of 3072 bits with SHA-512.", "shared/rsa-3072-1", "rsassa-pss-sha512", NULL,
		NULL, false, true},
	{"rsa-4096-sha256", "RSA-PSS of 4096 bits with SHA-256.", "shared/rsa-4096-1", NULL, NULL, NULL, false,
		false},
	{"rsa-4096-sha512", "RSA-PSS of 4096 bits with SHA-512.", "shared/rsa-4096-1", "rsassa-pss-sha512", NULL,
		NULL, false, false},
	{"rsa-old-method", "rsassa-pss is rsassa-pss-sha256, also where the key's scheme says so.",
		"shared/rsa-2048-1", "rsassa-pss", "rsassa-pss-sha256", "RSA", false, true},
	{"rsa-hex", "An RSA key in hex of its SPKI DER.", "shared/rsa-2048-1", NULL, NULL, NULL, true, false},
};

/* The PEM text of a key becomes hex of its DER. */
static cJSON *
hex_of_pem(const char *pem)
{
	upt_cleanup(upt_buf_clear) struct upt_buf digits = {0};
	uint8_t der[1024];
	char hex[2 * sizeof(der) + 1];
	size_t len;

	pem = strchr(pem, '\n');
	for (const char *p = pem; *p != '-'; p++) {
		if (*p != '\n')
			append(&digits, p, 1);
	}
	must(upt_base64_decode(upt_buf_span(&digits), der, sizeof(der), &len), "a key in PEM");
	upt_hex_encode(upt_span(der, len), hex);
	return str(hex);
}

static void
respell_keys(cJSON *keys, const struct spelling *how)
{
	cJSON *key;

	cJSON_ArrayForEach(key, keys) {
		if (how->scheme != NULL && how->scheme[0] == '\0')
			drop(key, "scheme");
		else if (how->scheme != NULL || how->method != NULL)
			set(key, "scheme", str(how->scheme != NULL ? how->scheme : how->method));
		if (how->keytype != NULL)
			set(key, "keytype", str(how->keytype));
		if (how->hex)
			set(key, "keyval/public", hex_of_pem(at(key, "keyval/public")->valuestring));
	}
}

/* Before root 1 is made. All roles share the key: what is told is its type. */
static void
use_key(struct scene *s, const struct spelling *how)
{
	for (int repo = DIRECTOR; repo <= IMAGE; repo++) {
		for (int i = 0; i < 4; i++)
			scene_plan(s, (enum upt_repo)repo, top_level[i], how->key, 1);
		respell_keys(at(scene_payload(s, (enum upt_repo)repo, "root"), "keys"), how);
	}
	scene_delegate(s, &(struct delegation){"targets", "team", how->key, 1, "app-*", NULL, false});
	respell_keys(at(scene_body(s, IMAGE, "targets"), "delegations/keys"), how);
	scene_move_app(s, "team");
}

static void
sign_all(struct scene *s, const struct spelling *how, bool with_root)
{
	static const char *const roles[] = {"timestamp", "snapshot", "targets", "root"};

	for (int repo = DIRECTOR; repo <= IMAGE; repo++) {
		for (int i = 0; i < (with_root ? 4 : 3); i++) {
			struct signing *signing = scene_signing(s, (enum upt_repo)repo, roles[i]);

			signing->method = how->method;
			signing->base64 = how->base64;
		}
	}
	scene_signing(s, IMAGE, "team")->method = how->method;
	scene_signing(s, IMAGE, "team")->base64 = how->base64;
}

static void
spoil_one(struct scene *s, enum upt_repo repo, const char *role)
{
	char *sig = at(scene_signatures(s, repo, role), "0/sig")->valuestring;

	/* In the middle, where neither hex nor base64 nor DER has its own rules. */
	sig += strlen(sig) / 2;
	*sig = *sig == '0' ? '1' : '0';
}

static void
add_spelling(struct generator *g, const struct spelling *how)
{
	char name[128];
	struct scene *s;

	snprintf(name, sizeof(name), "keys-%s", how->name);
	s = scene_begin(g, name, how->title, "0.1 7.2 8.3 9.3");
	use_key(s, how);
	sign_all(s, how, true);
	scene_step(s);
	scene_accept(s);
	scene_step(s);
	sign_all(s, how, false);
	spoil_one(s, DIRECTOR, "timestamp");
	scene_refuse(s, UPT_E_THRESHOLD, DIRECTOR, "timestamp");
	scene_step(s);
	sign_all(s, how, false);
	spoil_one(s, IMAGE, "team");
	scene_refuse(s, UPT_E_THRESHOLD, IMAGE, "team");
	scene_step(s);
	sign_all(s, how, false);
	scene_accept(s);
	scene_end(&s);
}

/* ---- several types together, and methods that are not the key's ---- */

static void
good_step(struct scene *s)
{
	scene_step(s);
	scene_accept(s);
}

static void
mixed_threshold(struct scene *s)
{
	scene_plan(s, DIRECTOR, "targets", "targets-1 shared/p256-1 shared/rsa-2048-1 shared/p384-1", 4);
	good_step(s);
	scene_step(s);
	scene_signing(s, DIRECTOR, "targets")->keys = "targets-1 shared/p256-1 shared/rsa-2048-1";
	scene_refuse(s, UPT_E_THRESHOLD, DIRECTOR, "targets");
	good_step(s);
}

/* A key's scheme is part of it: no signature moves it to another method of its type. */
static void
other_hash_than_scheme(struct scene *s)
{
	scene_plan(s, IMAGE, "targets", "shared/rsa-2048-1", 1);
	good_step(s);
	scene_step(s);
	scene_signing(s, IMAGE, "targets")->method = "rsassa-pss-sha512";
	scene_refuse(s, UPT_E_THRESHOLD, IMAGE, "targets");
	good_step(s);
}

/* A signature over SHA-256 that says it is over SHA-512, and the other way round. */
static void
hash_is_not_guessed(struct scene *s)
{
	cJSON *key;

	scene_plan(s, IMAGE, "timestamp", "shared/rsa-2048-1", 1);
	cJSON_ArrayForEach(key, at(scene_payload(s, IMAGE, "root"), "keys")) {
		if (strcmp(at(key, "keytype")->valuestring, "rsa") == 0)
			drop(key, "scheme");
	}
	good_step(s);
	scene_step(s);
	set(scene_signatures(s, IMAGE, "timestamp"), "0/method", str("rsassa-pss-sha512"));
	scene_refuse(s, UPT_E_THRESHOLD, IMAGE, "timestamp");
	scene_step(s);
	scene_signing(s, IMAGE, "timestamp")->method = "rsassa-pss-sha512";
	drop(scene_signatures(s, IMAGE, "timestamp"), "0/method");
	scene_refuse(s, UPT_E_THRESHOLD, IMAGE, "timestamp");
	scene_step(s);
	scene_signing(s, IMAGE, "timestamp")->method = "rsassa-pss-sha512";
	scene_accept(s);
}

static void
rotate_through_types(struct scene *s)
{
	static const char *const keys[] = {"shared/p256-1", "shared/rsa-3072-1", "shared/p384-1", "root-9"};

	good_step(s);
	for (int i = 0; i < 4; i++) {
		scene_step(s);
		scene_root(s, DIRECTOR);
		scene_plan(s, DIRECTOR, "root", keys[i], 1);
		scene_plan(s, DIRECTOR, "timestamp", keys[i], 1);
		scene_accept(s);
	}
}

static const struct {
	const char *name, *title, *proves;
	void (*play)(struct scene *s);
} scenes[] = {
	{"keys-mixed-threshold", "Four keys of four types for one role.", "0.1 9.3", mixed_threshold},
	{"keys-method-against-scheme", "A good signature by another method than the key's scheme does not count.",
		"0.1", other_hash_than_scheme},
	{"keys-hash-is-not-guessed", "A signature is checked with the hash that it names, and with no other.",
		"0.1", hash_is_not_guessed},
	{"keys-rotate-through-types", "Root keys are rotated from one type to another.", "0.1 6.3",
		rotate_through_types},
};

void
cases_spelling(struct generator *g)
{
	ADD_VARIANTS(g, variants);
	for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++)
		add_spelling(g, &spellings[i]);
	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		struct scene *s = scene_begin(g, scenes[i].name, scenes[i].title, scenes[i].proves);

		scenes[i].play(s);
		scene_end(&s);
	}
}
