// What std::thread::hardware_concurrency() of libstdc++ asks: 64 processors, whatever this machine has.
#include <sys/sysinfo.h>

int get_nprocs(void) { return 64; }
