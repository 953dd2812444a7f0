#include <string>
#include <vector>

#include "client/cli/cli.h"
#include "client/cli/console.h"

int main(int argc, char** argv) {
  return tapewire::client::run_cli(std::vector<std::string>(argv + 1, argv + argc),
                                   tapewire::client::Console::standard());
}
