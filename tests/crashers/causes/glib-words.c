// GLib gives up: the argument says how.

#define G_LOG_DOMAIN "Shop"
#include <glib.h>

#include "cause.h"

FUNCTION long load_theme(void) {
  g_error("cannot load %s: %d", arguments[1], 4711);
  return 0;
}

FUNCTION long check_count(void) {
  const int count = HIDE(4);
  g_assert(count == 3);
  return count;
}

FUNCTION long compare_counts(void) {
  const int count = HIDE(4);
  g_assert_cmpint(count, ==, 3);
  return count;
}

FUNCTION long fatal_critical(void) {
  g_log_set_always_fatal(G_LOG_LEVEL_CRITICAL | G_LOG_FATAL_MASK);
  g_critical("the till of %s is stuck", arguments[1]);
  return 0;
}

FUNCTION long structured(void) {
  g_log_structured(G_LOG_DOMAIN, G_LOG_LEVEL_ERROR, "SHOP_ARTICLE", "jam", "MESSAGE", "no more %s",
                   arguments[1]);
  return 0;
}

FUNCTION long no_memory(void) { return (long)g_malloc((gsize)HIDE(G_MAXLONG)); }

FUNCTION long choose(void) {
  static const struct {
    const char* name;
    long (*function)(void);
  } kAll[] = {{"error", load_theme},        {"assert", check_count},    {"compare", compare_counts},
              {"critical", fatal_critical}, {"structured", structured}, {"memory", no_memory}};
  for (unsigned i = 0; i < sizeof kAll / sizeof kAll[0]; ++i) {
    if (strcmp(arguments[0], kAll[i].name) != 0) continue;
    const long result = kAll[i].function();
    STAY();
    return result;
  }
  return 2;
}

DIES_IN(choose)
