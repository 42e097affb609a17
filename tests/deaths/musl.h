/* glibc has it, and musl has not: what aborts.c calls beside the rest. */
#define assert_perror(number) abort()
