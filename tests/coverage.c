/* Linked into every program of the coverage preset. Processes that tests fork end by _exit(), which
 * runs no handlers: what they counted would be lost. */
#include <gcov.h>
#include <unistd.h>

void __real__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status) __attribute__((noreturn));

void
__wrap__exit(int status)
{
	__gcov_dump();
	__real__exit(status);
}
