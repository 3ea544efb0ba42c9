#include "runtime/node_key_environment.hpp"

#include <cstdlib>

namespace custos::runtime {

cluster::node_key_access node_key_access_of(const std::string& tcti,
                                            const std::string& passphrase_file) {
  cluster::node_key_access out;
  out.tcti = tcti;
  out.passphrase_file = passphrase_file;
  if (const char* const folder = std::getenv("CREDENTIALS_DIRECTORY"); folder != nullptr)
    out.credentials_dir = folder;
  return out;
}

} // namespace custos::runtime
