#pragma once
// Where a key goes that a consumer asked for, and in which form. A key in a file of a disk outlives
// what it was for: only memory (tmpfs, ramfs) is taken for one, and no terminal.

#include "adapters/crypto/secret_bytes.hpp"
#include "messages/error.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace custos::runtime {

enum class key_format { raw, hex, base64, systemd_credential };

/// "raw", "hex", "base64", "systemd-credential".
std::optional<key_format> key_format_of(std::string_view name);

struct key_output {
  std::string out = "-"; ///< a file, or - for standard output
  key_format format = key_format::raw;
  bool force = false; ///< a terminal, or a file on a disk, all the same
};

/// That a key may go there, before anybody is asked for one. errc::invalid_argument.
result<void> check_output(const key_output& o);
/// Files get mode 0400; the folder of a credential is made, mode 0700, if it is not there.
/// errc::storage_failure.
result<void> write_key(const key_output& o, const crypto::secret_bytes& key);

} // namespace custos::runtime
