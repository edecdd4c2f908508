/*
 * The container installer's ops table on the real transport, as the program wires it.
 */
#ifndef UPT_TESTS_INSTALLER_ENGINE_HTTP_H
#define UPT_TESTS_INSTALLER_ENGINE_HTTP_H

#include "installer/engine.h"
#include "transport/http.h"

struct engine_http {
	struct upt_engine_http ops;
	struct upt_http *engine;
};

void engine_http_init(struct engine_http *engine, const char *socket_path);
void engine_http_clear(struct engine_http *engine);

#endif
