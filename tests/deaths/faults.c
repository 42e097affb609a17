// Memory that may not be touched, and instructions that the processor refuses.
#define _GNU_SOURCE
#include <fcntl.h>

#include "death.h"

struct node {
  char head[0x18];
  long value;
  void (*call)(void);
};
static const char read_only[] = "constant";
static char data[64] = {(char)0xc3};

DEATH null_read(void) { printf("%d", *(volatile int*)HIDE((int*)NULL)); }
DEATH null_write(void) { *(volatile int*)HIDE((int*)NULL) = 1; }
DEATH null_member(void) { printf("%ld", HIDE((struct node*)NULL)->value); }
DEATH null_array(void) { printf("%d", ((volatile int*)HIDE((int*)NULL))[HIDE(100000000L)]); }
DEATH null_call(void) { HIDE((void (*)(void))NULL)(); }
DEATH null_member_call(void) { HIDE((struct node*)NULL)->call(); }
DEATH null_string(void) { printf("%zu", strlen(HIDE((char*)NULL))); }
DEATH null_copy(void) { memcpy(HIDE((char*)NULL), data, HIDE(sizeof data)); }
DEATH null_rep(void) {
  char* to = HIDE((char*)NULL);
  long count = HIDE(8L);
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(0) : "memory");
}
static char* unmapped(void) {
  char* page = map_page(PROT_READ);
  must(munmap(page, 4096) == 0, "munmap");
  return HIDE(page) + 0x123;
}
DEATH unmapped_read(void) { printf("%d", *(volatile char*)unmapped()); }
DEATH unmapped_write(void) { *(volatile char*)unmapped() = 1; }
DEATH past_the_end(void) {
  volatile char* pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap((char*)pages + 4096, 4096);
  for (int i = 0; i < HIDE(5000); ++i) pages[i] = 1;
}
DEATH unmapped_call(void) { ((void (*)(void))unmapped())(); }
DEATH wild_read(void) { printf("%d", *(volatile int*)HIDE((int*)0x4141414141414141)); }
DEATH wild_write(void) { *(volatile int*)HIDE((int*)0xdeadbeefdeadbeef) = 1; }
DEATH wild_call(void) { HIDE((void (*)(void))0x4242424242424242)(); }
DEATH wild_return(void) {
  __asm__ volatile("movabs $0x4343434343434343, %%rax\n\tpush %%rax\n\tret" ::: "rax", "memory");
}
DEATH wild_stack_pointer(void) {
  __asm__ volatile("movabs $0x4444444444444440, %%rsp\n\tpush %%rax" ::: "memory");
}
DEATH unmapped_stack_pointer(void) { __asm__ volatile("mov $0x100000, %%rsp\n\tcall abort" ::: "memory"); }
DEATH no_access_read(void) { printf("%d", *(volatile char*)HIDE(map_page(PROT_NONE) + 5)); }
DEATH no_access_write(void) { *(volatile char*)HIDE(map_page(PROT_NONE) + 5) = 1; }
DEATH write_constant(void) { *(volatile char*)HIDE((char*)read_only) = 1; }
DEATH write_code(void) { *(volatile char*)HIDE((char*)&null_read) = 1; }
DEATH write_literal(void) { strcpy(HIDE((char*)"literal"), data); }
DEATH write_read_only_file(void) {
  const int file = open("/proc/self/exe", O_RDONLY);
  volatile char* page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0);
  must(page != MAP_FAILED, "mmap");
  page[7] = 1;
}
DEATH call_stack(void) {
  char code[16] = {(char)0xc3};
  ((void (*)(void))HIDE((char*)code))();
}
DEATH call_heap(void) {
  char* code = HIDE((char*)calloc(1, 64));
  ((void (*)(void))code)();
}
DEATH call_data(void) { ((void (*)(void))HIDE((char*)data))(); }
DEATH misaligned_load(void) { __asm__ volatile("movaps 1(%0), %%xmm0" : : "r"(HIDE((char*)data)) : "xmm0"); }
DEATH misaligned_store(void) {
  __asm__ volatile("movdqa %%xmm0, 8(%0)" : : "r"((char*)((uintptr_t)HIDE((char*)data) & ~15UL)) : "memory");
}
DEATH misaligned_stack(void) {
  __asm__ volatile("and $-16, %%rsp\n\tsub $8, %%rsp\n\tmovaps %%xmm0, (%%rsp)" ::: "memory");
}
DEATH protection_key_write(void) {
  char* page = map_page(PROT_READ | PROT_WRITE);
  const int key = pkey_alloc(0, PKEY_DISABLE_WRITE);
  if (key < 0) exit(77);
  must(pkey_mprotect(page, 4096, PROT_READ | PROT_WRITE, key) == 0, "pkey_mprotect");
  *(volatile char*)HIDE(page) = 1;
}
DEATH protection_key_read(void) {
  char* page = map_page(PROT_READ | PROT_WRITE);
  const int key = pkey_alloc(0, PKEY_DISABLE_ACCESS);
  if (key < 0) exit(77);
  must(pkey_mprotect(page, 4096, PROT_READ | PROT_WRITE, key) == 0, "pkey_mprotect");
  printf("%d", *(volatile char*)HIDE(page));
}
DEATH breakpoint(void) { __asm__ volatile("int3"); }
DEATH built_in_trap(void) { __builtin_trap(); }
DEATH ud1(void) { __asm__ volatile("ud1 %eax, %eax"); }
DEATH halt(void) { __asm__ volatile("hlt"); }
DEATH interrupts_off(void) { __asm__ volatile("cli"); }
DEATH port(void) { __asm__ volatile("inb $0x60, %%al" ::: "eax"); }
DEATH overflow_interrupt(void) { __asm__ volatile("int $4"); }
DEATH descriptor_table(void) {
  char table[10] = {0};
  __asm__ volatile("lgdt (%0)" ::"r"(HIDE((char*)table)));
}
DEATH model_register(void) { __asm__ volatile("rdmsr" ::: "eax", "edx"); }
DEATH bad_opcode(void) { __asm__ volatile(".byte 0x06"); }
DEATH bad_lock(void) { __asm__ volatile(".byte 0xf0, 0x90, 0x0f, 0xff"); }
DEATH single_step(void) {
  __asm__ volatile("pushf\n\torl $0x100, (%%rsp)\n\tpopf\n\tnop\n\tnop" ::: "memory", "cc");
}

static const struct way ways[] = {
    {"null-read", null_read},
    {"null-write", null_write},
    {"null-member", null_member},
    {"null-array", null_array},
    {"null-call", null_call},
    {"null-member-call", null_member_call},
    {"null-string", null_string},
    {"null-copy", null_copy},
    {"null-rep", null_rep},
    {"unmapped-read", unmapped_read},
    {"unmapped-write", unmapped_write},
    {"past-the-end", past_the_end},
    {"unmapped-call", unmapped_call},
    {"wild-read", wild_read},
    {"wild-write", wild_write},
    {"wild-call", wild_call},
    {"wild-return", wild_return},
    {"wild-stack-pointer", wild_stack_pointer},
    {"unmapped-stack-pointer", unmapped_stack_pointer},
    {"no-access-read", no_access_read},
    {"no-access-write", no_access_write},
    {"write-constant", write_constant},
    {"write-code", write_code},
    {"write-literal", write_literal},
    {"write-read-only-file", write_read_only_file},
    {"call-stack", call_stack},
    {"call-heap", call_heap},
    {"call-data", call_data},
    {"misaligned-load", misaligned_load},
    {"misaligned-store", misaligned_store},
    {"misaligned-stack", misaligned_stack},
    {"protection-key-write", protection_key_write},
    {"protection-key-read", protection_key_read},
    {"breakpoint", breakpoint},
    {"built-in-trap", built_in_trap},
    {"ud1", ud1},
    {"halt", halt},
    {"interrupts-off", interrupts_off},
    {"port", port},
    {"overflow-interrupt", overflow_interrupt},
    {"descriptor-table", descriptor_table},
    {"model-register", model_register},
    {"bad-opcode", bad_opcode},
    {"bad-lock", bad_lock},
    {"single-step", single_step},
};
DIES_BY(ways)
