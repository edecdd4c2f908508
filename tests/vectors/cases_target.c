/* What Director and Image repository say of one target (5.12 to 5.14, 3.10, 3.12), and its bytes (3.14, 3.15). */
#include <stdio.h>
#include "cases.h"

/* The base target's entry in this step. */
static cJSON *
entry(struct scene *s, enum upt_repo repo)
{
	return at(scene_payload(s, repo, "targets"), "targets")->child;
}

static void
set_both(struct scene *s, const char *path, const char *json)
{
	set(entry(s, DIRECTOR), path, cJSON_Parse(json));
	set(entry(s, IMAGE), path, cJSON_Parse(json));
}

static struct served_image *
app(struct scene *s)
{
	return &s->images[0];
}

static const char other_sha256[] = "\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"";

static void
add_sha512(struct scene *s, enum upt_repo repo)
{
	struct upt_digest digest;
	char hex[2 * UPT_HASH_MAX_BYTES + 1];

	must_code(upt_hash_span(UPT_HASH_SHA512, upt_buf_span(&app(s)->content), &digest, NULL), NULL);
	for (size_t i = 0; i < digest.len; i++)
		snprintf(hex + 2 * i, 3, "%02x", digest.bytes[i]);
	set(entry(s, repo), "hashes/sha512", str(hex));
}

/* ---- the two disagree ---- */

#define ENTRY_FAULT(name, change)                                                                  \
	static void name(struct scene *s)                                                          \
	{                                                                                          \
		change;                                                                            \
	}

ENTRY_FAULT(not_vouched_for, drop(scene_payload(s, IMAGE, "targets"), "targets/" APP))
ENTRY_FAULT(other_name, drop(scene_payload(s, IMAGE, "targets"), "targets/" APP);
	    scene_image(s, "App-1.bin", "the first release of the application\n");
	    scene_vouch(s, scene_payload(s, IMAGE, "targets"), "App-1.bin", HARDWARE))
ENTRY_FAULT(director_length, set(entry(s, DIRECTOR), "length", num(1)))
ENTRY_FAULT(image_length, set(entry(s, IMAGE), "length", num(1)))
ENTRY_FAULT(director_hash, set(entry(s, DIRECTOR), "hashes/sha256", cJSON_Parse(other_sha256)))
ENTRY_FAULT(image_hash, set(entry(s, IMAGE), "hashes/sha256", cJSON_Parse(other_sha256)))
ENTRY_FAULT(more_hashes_of_director, add_sha512(s, DIRECTOR))
ENTRY_FAULT(no_common_hash, add_sha512(s, DIRECTOR); drop(entry(s, DIRECTOR), "hashes/sha256"))
ENTRY_FAULT(unknown_hash_of_director, set(entry(s, DIRECTOR), "hashes/future", str("00")))
ENTRY_FAULT(unknown_hash_of_image, set(entry(s, IMAGE), "hashes/future", str("00")))
ENTRY_FAULT(unknown_hash_of_both, set_both(s, "hashes/future", "\"00\""))
ENTRY_FAULT(must_match_differs, set_both(s, "custom/mustMatch", "{\"a\":1}");
	    set(entry(s, IMAGE), "custom/mustMatch", cJSON_Parse("{\"a\":2}")))
ENTRY_FAULT(must_match_of_director, set(entry(s, DIRECTOR), "custom/mustMatch", cJSON_Parse("{\"a\":1}")))
ENTRY_FAULT(must_match_of_image, set(entry(s, IMAGE), "custom/mustMatch", cJSON_Parse("{\"a\":1}")))
ENTRY_FAULT(counter_differs, set_both(s, "custom/releaseCounter", "7");
	    set(entry(s, IMAGE), "custom/releaseCounter", num(8)))
ENTRY_FAULT(counter_of_director, set_both(s, "custom/releaseCounter", "7");
	    drop(entry(s, IMAGE), "custom/releaseCounter"))
ENTRY_FAULT(other_hardware, set(entry(s, IMAGE), "custom/hardwareIds/0", str("hw-b")))
ENTRY_FAULT(no_hardware, drop(entry(s, IMAGE), "custom/hardwareIds"))
ENTRY_FAULT(empty_hardware, set(entry(s, IMAGE), "custom/hardwareIds", cJSON_CreateArray()))
ENTRY_FAULT(prefix_of_hardware, set(entry(s, IMAGE), "custom/hardwareIds/0", str("hw-")))
ENTRY_FAULT(lower_counter, set_both(s, "custom/releaseCounter", "4"))
ENTRY_FAULT(zero_counter, set_both(s, "custom/releaseCounter", "0"))
ENTRY_FAULT(no_counter, drop(entry(s, DIRECTOR), "custom/releaseCounter");
	    drop(entry(s, IMAGE), "custom/releaseCounter"))

ENTRY_FAULT(text_counter, set(entry(s, IMAGE), "custom/releaseCounter", str("1")))
ENTRY_FAULT(text_hardware, set(entry(s, IMAGE), "custom/hardwareIds", str(HARDWARE)))
ENTRY_FAULT(text_must_match, set(entry(s, IMAGE), "custom/mustMatch", str("x")))
ENTRY_FAULT(number_uri, set(entry(s, IMAGE), "custom/uri", num(1)))

/* ---- the bytes ---- */

ENTRY_FAULT(flipped_bit, app(s)->served.data[3] ^= 1)
ENTRY_FAULT(shorter, app(s)->served.len--)
ENTRY_FAULT(empty, app(s)->served.len = 0)
ENTRY_FAULT(longer, append(&app(s)->served, "x", 1))
ENTRY_FAULT(endless, pad(&app(s)->served, 512 * 1024))
ENTRY_FAULT(missing, app(s)->omit = true)
ENTRY_FAULT(wrong_second_hash, add_sha512(s, DIRECTOR); add_sha512(s, IMAGE);
	    at(entry(s, DIRECTOR), "hashes/sha512")->valuestring[0] ^= 1;
	    at(entry(s, IMAGE), "hashes/sha512")->valuestring[0] ^= 1)
ENTRY_FAULT(listed_wrongly, set_both(s, "length", "3"))

#define AT_TARGET "target"
#define AT_IMAGE "image"

static const struct {
	const char *name, *title, *proves;
	enum upt_code code;
	const char *role;
	void (*spoil)(struct scene *s);
} refused[] = {
	{"target-not-vouched-for", "What only the Director lists is refused.", "5.12 5.13 10.7",
		UPT_E_UNKNOWN_TARGET, AT_TARGET, not_vouched_for},
	{"target-name-in-other-case", "A name in another case is another target's.", "5.13",
		UPT_E_UNKNOWN_TARGET, AT_TARGET, other_name},
	{"target-length-of-director", "The Director lists another length.", "5.14", UPT_E_TARGET_MISMATCH,
		AT_TARGET, director_length},
	{"target-length-of-image", "The Image repository lists another length.", "5.14",
		UPT_E_TARGET_MISMATCH, AT_TARGET, image_length},
	{"target-hash-of-director", "The Director lists another hash.", "5.14", UPT_E_TARGET_MISMATCH,
		AT_TARGET, director_hash},
	{"target-hash-of-image", "The Image repository lists another hash.", "5.14", UPT_E_TARGET_MISMATCH,
		AT_TARGET, image_hash},
	{"target-more-hashes-of-director", "A hash that only the Director lists would never be checked.",
		"2.17 5.14", UPT_E_TARGET_MISMATCH, AT_TARGET, more_hashes_of_director},
	{"target-no-common-hash", "Two lists without a hash in common are not alike.", "5.14",
		UPT_E_TARGET_MISMATCH, AT_TARGET, no_common_hash},
	{"target-unknown-hash-of-director", "A hash that cannot be checked refuses the image: the Director's.",
		"2.17", UPT_E_TARGET_MISMATCH, AT_TARGET, unknown_hash_of_director},
	{"target-unknown-hash-of-image", "A hash that cannot be checked refuses the image: the repository's.",
		"2.17", UPT_E_TARGET_MISMATCH, AT_TARGET, unknown_hash_of_image},
	{"target-unknown-hash-of-both", "A hash that cannot be checked refuses the image, also when both agree.",
		"2.17", UPT_E_TARGET_MISMATCH, AT_TARGET, unknown_hash_of_both},
	{"target-must-match-differs", "The sections that must match differ.", "0.8 5.14",
		UPT_E_TARGET_MISMATCH, AT_TARGET, must_match_differs},
	{"target-must-match-of-director", "Only the Director lists a section that must match.", "0.8 5.14",
		UPT_E_TARGET_MISMATCH, AT_TARGET, must_match_of_director},
	{"target-must-match-of-image", "Only the Image repository lists a section that must match.",
		"0.8 5.14", UPT_E_TARGET_MISMATCH, AT_TARGET, must_match_of_image},
	{"target-counter-differs", "The two list other release counters.", "5.14", UPT_E_TARGET_MISMATCH,
		AT_TARGET, counter_differs},
	{"target-counter-of-director", "Only the Director lists a release counter.", "5.14",
		UPT_E_TARGET_MISMATCH, AT_TARGET, counter_of_director},
	{"target-other-hardware", "The Image repository lists the image for other hardware.", "3.10",
		UPT_E_WRONG_HARDWARE, AT_TARGET, other_hardware},
	{"target-no-hardware", "An image for no hardware is for nobody in profile standard.", "3.10",
		UPT_E_WRONG_HARDWARE, AT_TARGET, no_hardware},
	{"target-empty-hardware", "An image for an empty list of hardware is for nobody.", "3.10",
		UPT_E_WRONG_HARDWARE, AT_TARGET, empty_hardware},
	{"target-prefix-of-hardware", "The beginning of a hardware id is not the hardware id.", "3.10",
		UPT_E_WRONG_HARDWARE, AT_TARGET, prefix_of_hardware},
	{"target-counter-is-text", "A release counter of the Image repository in quotes is refused.", "3.12",
		UPT_E_MALFORMED, AT_TARGET, text_counter},
	{"target-hardware-is-text", "Hardware ids of the Image repository are a list.", "3.10", UPT_E_MALFORMED,
		AT_TARGET, text_hardware},
	{"target-must-match-is-text", "A section of the Image repository that must match is an object.", "0.8",
		UPT_E_MALFORMED, AT_TARGET, text_must_match},
	{"target-uri-is-number", "An URI of the Image repository that is no text is refused.", "3.6",
		UPT_E_MALFORMED, AT_TARGET, number_uri},
	{"image-flipped-bit", "One wrong bit in an image is refused.", "3.14", UPT_E_IMAGE_HASH, AT_IMAGE,
		flipped_bit},
	{"image-shorter", "An image that lacks its last byte is refused.", "3.15", UPT_E_IMAGE_HASH, AT_IMAGE,
		shorter},
	{"image-empty", "An image without a byte is refused.", "3.15", UPT_E_IMAGE_HASH, AT_IMAGE, empty},
	{"image-longer", "An image of one byte more than is listed is refused.", "3.8 3.15", UPT_E_TOO_LARGE,
		AT_IMAGE, longer},
	{"image-endless", "An image that goes on and on is refused.", "3.8", UPT_E_TOO_LARGE, AT_IMAGE, endless},
	{"image-listed-shorter", "Never more bytes are taken than both list.", "3.8", UPT_E_TOO_LARGE, AT_IMAGE,
		listed_wrongly},
	{"image-missing", "An image that the server lacks is refused as missing.", "5.15", UPT_E_MISSING,
		AT_IMAGE, missing},
	{"image-wrong-second-hash", "Every listed hash of an image counts.", "2.17 3.14", UPT_E_IMAGE_HASH,
		AT_IMAGE, wrong_second_hash},
};

/* After an image whose release counter is 5. */
static const struct {
	const char *name, *title;
	void (*spoil)(struct scene *s);
} older[] = {
	{"target-lower-counter", "A release counter lower than the installed image's is refused.", lower_counter},
	{"target-zero-counter", "A release counter of 0 is lower than any other.", zero_counter},
	{"target-no-counter", "After an image with a release counter, one without it is refused.", no_counter},
};

/* ---- accepted ---- */

static void
two_hashes(struct scene *s)
{
	add_sha512(s, DIRECTOR);
	add_sha512(s, IMAGE);
}

static void
more_hashes_of_image(struct scene *s)
{
	add_sha512(s, IMAGE);
}

static void
must_match_alike(struct scene *s)
{
	set(entry(s, DIRECTOR), "custom/mustMatch", cJSON_Parse("{\"b\":[1,\"\\u0041\"],\"a\":{\"c\":null}}"));
	set(entry(s, IMAGE), "custom/mustMatch", cJSON_Parse("{\"a\":{\"c\":null},\"b\":[1,\"A\"]}"));
}

static void
other_custom(struct scene *s)
{
	set(entry(s, DIRECTOR), "custom/color", str("red"));
	set(entry(s, IMAGE), "custom/color", str("blue"));
	set(entry(s, IMAGE), "custom/future", cJSON_Parse("[1,{\"x\":null}]"));
}

static void
more_hardware(struct scene *s)
{
	set(entry(s, IMAGE), "custom/hardwareIds", cJSON_Parse("[\"hw-c\",\"hw-b\",\"" HARDWARE "\"]"));
}

static void
equal_counter(struct scene *s)
{
	set_both(s, "custom/releaseCounter", "5");
}

static void
counter_of_image(struct scene *s)
{
	set(entry(s, IMAGE), "custom/releaseCounter", num(1));
}

static const struct {
	const char *name, *title, *proves;
	void (*change)(struct scene *s);
} accepted[] = {
	{"target-two-hashes", "Both list SHA-256 and SHA-512 of an image.", "0.5 2.17", two_hashes},
	{"target-more-hashes-of-image", "The Image repository may list more hashes than the Director.", "5.14",
		more_hashes_of_image},
	{"target-must-match-alike", "Sections that must match are alike in another order and spelling.", "0.8",
		must_match_alike},
	{"target-other-custom", "What else a custom section holds need not match.", "0.8", other_custom},
	{"target-more-hardware", "An image for several kinds of hardware.", "3.10", more_hardware},
	{"target-equal-counter", "A release counter may stay.", "3.12", equal_counter},
	{"target-counter-of-image", "The Image repository alone may count releases.", "3.12", counter_of_image},
};

static const struct {
	const char *name, *target;
} names[] = {
	{"folder", "dir/sub/a.bin"},
	{"space", "a b.bin"},
	{"percent", "a%2Fb.bin"},
	{"question-mark", "a?b=c.bin"},
	{"hash", "a#b.bin"},
	{"plus", "a+b.bin"},
	{"hidden", ".a.bin"},
	{"beyond-ascii", "caf\xc3\xa9.bin"},
	{"quote", "a\"b.bin"},
	{"backslash", "a\\b.bin"},
};

static void
good_step(struct scene *s)
{
	scene_step(s);
	scene_accept(s);
}

static void
add_refused(struct generator *g, size_t i)
{
	struct scene *s = scene_begin(g, refused[i].name, refused[i].title, refused[i].proves);

	good_step(s);
	scene_step(s);
	refused[i].spoil(s);
	scene_refuse(s, refused[i].code, IMAGE, refused[i].role);
	good_step(s);
	scene_end(&s);
}

static void
add_older(struct generator *g, size_t i)
{
	struct scene *s = scene_begin(g, older[i].name, older[i].title, "3.12 5.14");

	set(scene_body(s, DIRECTOR, "targets"), "targets/" APP "/custom/releaseCounter", num(5));
	set(scene_body(s, IMAGE, "targets"), "targets/" APP "/custom/releaseCounter", num(5));
	good_step(s);
	scene_step(s);
	older[i].spoil(s);
	scene_refuse(s, UPT_E_RELEASE_ROLLBACK, IMAGE, AT_TARGET);
	good_step(s);
	scene_step(s);
	set_both(s, "custom/releaseCounter", "6");
	scene_accept(s);
	scene_end(&s);
}

static void
add_accepted(struct generator *g, size_t i)
{
	struct scene *s = scene_begin(g, accepted[i].name, accepted[i].title, accepted[i].proves);

	if (accepted[i].change == equal_counter) {
		scene_step(s);
		equal_counter(s);
		scene_accept(s);
	} else {
		good_step(s);
	}
	scene_step(s);
	accepted[i].change(s);
	scene_accept(s);
	scene_end(&s);
}

static void
add_name(struct generator *g, size_t i, bool ota)
{
	char name[128];
	struct scene *s;
	static const char title[] = "A target name with odd characters stays inside the folder of targets.";

	snprintf(name, sizeof(name), "%starget-name-%s", ota ? "ota-" : "", names[i].name);
	s = ota ? scene_begin_ota(g, name, title, "0.15") : scene_begin(g, name, title, "0.14 0.15");
	scene_image(s, names[i].target, "an image with an odd name\n");
	drop(scene_body(s, DIRECTOR, "targets"), "targets/" APP);
	drop(scene_body(s, IMAGE, "targets"), "targets/" APP);
	scene_assign(s, scene_body(s, DIRECTOR, "targets"), names[i].target, ECU, HARDWARE);
	scene_vouch(s, scene_body(s, IMAGE, "targets"), names[i].target, HARDWARE);
	good_step(s);
	scene_step(s);
	s->images[1].omit = true;
	scene_refuse(s, UPT_E_MISSING, IMAGE, AT_IMAGE);
	good_step(s);
	scene_end(&s);
}

void
cases_target(struct generator *g)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		add_refused(g, i);
	for (size_t i = 0; i < sizeof(older) / sizeof(older[0]); i++)
		add_older(g, i);
	for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++)
		add_accepted(g, i);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		add_name(g, i, false);
		add_name(g, i, true);
	}
}
