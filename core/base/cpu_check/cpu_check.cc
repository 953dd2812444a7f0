// Ends the program with a message when the CPU lacks the instructions that it was built for, instead of an illegal
// instruction somewhere later. Nothing of the C++ library may be used here: its inlined parts could be another's, built
// for the newer CPU.
#include <errno.h>
#include <string.h>
#include <unistd.h>

#ifdef TAPEWIRE_CPU_LEVEL
namespace {

void say(const char* text) {
  if (write(STDERR_FILENO, text, strlen(text)) < 0) _exit(1);
}

// 101 is the first priority that is not the implementation's own: before any static initialiser of ours.
__attribute__((constructor(101))) void check_cpu() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports(TAPEWIRE_CPU_LEVEL)) return;
  say(program_invocation_short_name);
  say(": this CPU is older than the program was built for (" TAPEWIRE_CPU_LEVEL
      "). Build it with -DTAPEWIRE_CPU=x86-64-v2, or x86-64, to run here.\n");
  _exit(1);
}

}  // namespace
#endif
