// custos: the command line of administrators.

#include "runtime/cli/session.hpp"

int main(int argc, char** argv) {
  return custos::cli::run(argc, argv);
}
