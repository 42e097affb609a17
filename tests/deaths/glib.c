// GLib gives up.
#define G_LOG_DOMAIN "deaths"
#include <glib.h>

#include "death.h"

static int zero;
DEATH error(void) { g_error("the key %s is not set", "colour"); }
DEATH assertion(void) { g_assert(zero == 1); }
DEATH assertion_of_numbers(void) { g_assert_cmpint(zero, ==, 7); }
DEATH not_reached(void) { g_assert_not_reached(); }
DEATH fatal_critical(void) {
  g_log_set_always_fatal(G_LOG_LEVEL_CRITICAL);
  g_return_if_fail(zero == 1);
}
DEATH fatal_warning(void) {
  g_log_set_always_fatal(G_LOG_LEVEL_WARNING);
  g_warning("no such colour: %d", 7);
}
DEATH no_memory(void) { g_malloc(HIDE((size_t)1 << 46)); }

static const struct way ways[] = {
    {"error", error},
    {"assertion", assertion},
    {"assertion-of-numbers", assertion_of_numbers},
    {"not-reached", not_reached},
    {"fatal-critical", fatal_critical},
    {"fatal-warning", fatal_warning},
    {"no-memory", no_memory},
};
DIES_BY(ways)
