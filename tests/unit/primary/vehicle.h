/* The parts of a test vehicle: a system that reboots, installers that fail on request, a scripted
 * Secondary. */
#ifndef UPT_TESTS_PRIMARY_VEHICLE_H
#define UPT_TESTS_PRIMARY_VEHICLE_H

#include "world.h"

/* Puts them in place of what the configuration made. */
void vehicle_equip(struct world *w, struct upt_primary *p);
/* The system in dir boots what shall be next; false: it fails to, and the boot loader goes back. */
void vehicle_reboot(struct world *w, bool comes_up);
/* A system that runs the image of that name; before the first process. */
void vehicle_flash(struct world *w, const struct upt_image *image);

#endif
