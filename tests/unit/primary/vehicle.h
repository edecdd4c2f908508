/* The parts of a test vehicle: a system that reboots, installers that fail on request, a scripted
 * Secondary. */
#ifndef UPT_TESTS_PRIMARY_VEHICLE_H
#define UPT_TESTS_PRIMARY_VEHICLE_H

#include "world.h"

/* Puts them in place of what the configuration made. */
void vehicle_equip(struct world *w, struct upt_primary *p);
/* The system in dir boots what shall be next; false: it fails to, and the boot loader goes back, at
 * once or, when it counts, after the tries it was given. */
void vehicle_reboot(struct world *w, bool comes_up);
/* A system that runs the image of that name; before the first process. */
/* What GRUB's environment block holds of the name; "" when it does not. */
void vehicle_grubenv(const struct world *w, const char *name, char out[static 17]);
void vehicle_flash(struct world *w, const struct upt_image *image);

#endif
