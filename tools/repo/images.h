/*
 * Bytes of targets: kept under their SHA-256 in images/, published under public/targets/HASH.NAME as
 * another link to the same file. They are immutable and harmless until metadata names them, so they
 * need no part in a command's commit.
 */
#ifndef REPO_IMAGES_H
#define REPO_IMAGES_H

#include "metadata/image.h"
#include "repo/workspace.h"

/* Copies a file into images/ durably; sets length and digests of image. path: from the caller's folder. */
UPT_NODISCARD enum upt_code repo_image_import(const struct repo *repo, const char *path,
	struct upt_image *image, struct upt_err *err);
/*
 * The same for a target that somebody else listed: its file below dir, named HASH.NAME, must be what
 * the entry {length, hashes} says (UPT_E_IMAGE_HASH). *here: false when there is no such file.
 */
UPT_NODISCARD enum upt_code repo_image_adopt(const struct repo *repo, const char *dir, const char *name,
	const cJSON *entry, bool *here, struct upt_err *err);
/* Publishes the bytes of a target's entry {length, hashes}; *here: false when images/ has none. */
UPT_NODISCARD enum upt_code repo_image_publish(const struct repo *repo, const char *name,
	const cJSON *entry, bool *here, struct upt_err *err);
/* Target file of a hash: "public/targets/DIR/HASH.NAME"; false when it is too long for a file system. */
bool repo_image_path(const char *name, const char *hash, char *out, size_t size);

#endif
