/*
 * Links from the Primary to its Secondaries: what the update cycle asks of any ECU that is not the
 * Primary itself. ip: another machine over TCP, with its own verification and state (protocol.h);
 * virtual: an installer on the Primary that counts as an ECU of its own (an application). A link
 * belongs to one thread. Uptane Standard 2.1 "send_metadata_primary", "send_images_primary".
 */
#ifndef UPT_SECONDARY_LINK_H
#define UPT_SECONDARY_LINK_H

#include "base/log.h"
#include "installer/installer.h"
#include "metadata/image.h"

struct upt_ecu_info {
	char serial[UPT_ECU_SERIAL_MAX + 1];
	char hardware_id[UPT_HARDWARE_ID_MAX + 1];
	char key_type[32];                           /* as metadata spells it */
	char public_key[UPT_KEY_TEXT_MAX_BYTES + 1]; /* keyval.public */
};

/* Verified metadata of the Primary, by repository and file name as the server names it. UPT_E_ABSENT
 * when the Primary has no such file: for N.root.json that is "no newer root". */
struct upt_metadata_source {
	enum upt_code (*fetch)(void *ctx, enum upt_repo repo, const char *file_name, size_t max_bytes,
		struct upt_buf *out, struct upt_err *err);
	void *ctx;
};

struct upt_link;

struct upt_link_ops {
	enum upt_code (*info)(struct upt_link *self, struct upt_ecu_info *out, struct upt_err *err);
	/* A fresh signed version report; attacks: the Primary's unreported attacks for this ECU ("" if none),
	 * used by virtual links only; now: trusted time. */
	enum upt_code (*report)(struct upt_link *self, const char *attacks, int64_t now,
		struct upt_buf *envelope, struct upt_err *err);
	/* Lets the ECU verify the latest metadata for itself. A refusal carries the Secondary's own code. */
	enum upt_code (*send_metadata)(struct upt_link *self, const struct upt_metadata_source *source,
		struct upt_err *err);
	/* Brings the content of the job to the ECU (streams the image, or lets the engine pull). */
	enum upt_code (*send_image)(struct upt_link *self, const struct upt_install_job *job,
		const struct upt_install_progress *progress, struct upt_err *err);
	/* *pending: done only after a reboot of that ECU. */
	enum upt_code (*install)(struct upt_link *self, const struct upt_install_job *job, bool *pending,
		struct upt_err *err);
	/* True when the job needs its image downloaded by the Primary. */
	bool (*needs_image)(const struct upt_link *self);
	/* Target format the ECU takes: "BINARY", "OCI", ... */
	const char *(*format)(const struct upt_link *self);
	enum upt_code (*rollback)(struct upt_link *self, bool *pending, struct upt_err *err); /* UPT_E_UNSUPPORTED for ip */
	void (*free)(struct upt_link *self);
};

struct upt_link {
	const struct upt_link_ops *ops;
	const struct upt_log *log;
};

static inline void
upt_link_free(struct upt_link **link)
{
	if (*link != NULL)
		(*link)->ops->free(*link);
	*link = NULL;
}

struct upt_ip_link_config {
	const char *address; /* numeric or name */
	unsigned port;
	unsigned timeout_ms; /* of one answer; 0: 60000 */
	const volatile bool *cancel;
};
/* Connects at each call sequence; an unreachable Secondary is UPT_E_NETWORK and never fatal to the vehicle. */
UPT_NODISCARD enum upt_code upt_ip_link_new(const struct upt_ip_link_config *config,
	const struct upt_log *log, struct upt_link **out, struct upt_err *err);

struct upt_virtual_link_config {
	const char *serial, *hardware_id;
	/* Next value of this ECU's report counter, durable before it is used. */
	enum upt_code (*next_counter)(void *ctx, const char *serial, uint64_t *out, struct upt_err *err);
	/* What is installed, as the Primary's store knows it (name, length); name "" when unknown. */
	enum upt_code (*installed)(void *ctx, const char *serial, struct upt_image *out, struct upt_err *err);
	void *ctx;
};
/* Takes over installer and key (freed with the link, also when this fails). */
UPT_NODISCARD enum upt_code upt_virtual_link_new(const struct upt_virtual_link_config *config,
	struct upt_installer *installer, struct upt_private_key *key, const struct upt_log *log,
	struct upt_link **out, struct upt_err *err);

#endif
