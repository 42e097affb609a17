// An instruction that programs may not use: "hlt", "in", "int", "cr3" (a control register).

#include "cause.h"

FUNCTION long ask_processor(void) {
  const char* how = arguments[0];
  unsigned long value = 0;
  if (strcmp(how, "hlt") == 0) __asm__ volatile("hlt");
  if (strcmp(how, "in") == 0) __asm__ volatile("inb $0x60, %%al" : "+a"(value));
  if (strcmp(how, "int") == 0) __asm__ volatile("int $0x42");
  if (strcmp(how, "cr3") == 0) __asm__ volatile("movq %%cr3, %0" : "=r"(value));
  return (long)value;
}

DIES_IN(ask_processor)
