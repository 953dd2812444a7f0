// Included before all else in rooms that ThreadSanitizer does not instrument. Their shared_ptrs and Refs count in
// instrumented rooms' objects too: libstdc++ and core/base/ref.h have these two places to tell the sanitizer what the
// count synchronises.
#pragma once

extern "C" {
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}

#ifndef _GLIBCXX_TSAN
#define _GLIBCXX_TSAN 1  // the count is decremented in one way only
#endif
#define _GLIBCXX_SYNCHRONIZATION_HAPPENS_BEFORE(address) __tsan_release(address)
#define _GLIBCXX_SYNCHRONIZATION_HAPPENS_AFTER(address) __tsan_acquire(address)
#define TAPEWIRE_HAPPENS_BEFORE(address) __tsan_release(address)
#define TAPEWIRE_HAPPENS_AFTER(address) __tsan_acquire(address)
