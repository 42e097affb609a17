/* Of glibc, and not of musl: what aborts.c calls beside the rest. */
#define assert_perror(number) abort()
