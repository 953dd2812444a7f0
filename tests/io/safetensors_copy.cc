// Reads a safetensors file and writes it again: what tests/io/exchange_test.py holds against the format's own package.
//
// usage: safetensors_copy IN OUT     exits with 1, and the reason on stderr, when IN is refused

#include <iostream>

#include "core/io/safetensors.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: safetensors_copy IN OUT\n";
    return 2;
  }
  const absl::StatusOr<tapewire::SafetensorsContent> content = tapewire::read_safetensors(argv[1]);
  const absl::Status status =
      content.ok() ? tapewire::write_safetensors(argv[2], content->tensors, content->metadata) : content.status();
  if (status.ok()) return 0;
  std::cerr << status.message() << '\n';
  return 1;
}
