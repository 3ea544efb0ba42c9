#pragma once
// Octets of several named parts, for what is sealed or encrypted as one: version(1), then for each
// part tag(1) || length(4, big-endian) || value. Nobody outside this folder includes this.

#include "adapters/crypto/secret_bytes.hpp"
#include "messages/error.hpp"

#include <cstdint>
#include <vector>

namespace custos::cluster {

inline constexpr std::size_t fields_max = 1U << 19U;

struct tagged_field {
  std::uint8_t tag = 0;
  byte_view value; ///< not owned
};

crypto::secret_bytes write_fields(std::uint8_t version, const std::vector<tagged_field>& fields);

/// Views into `octets`. errc::unsupported (another version), errc::malformed.
result<std::vector<tagged_field>> read_fields(std::uint8_t version, byte_view octets);

/// The value of the one field of this tag; errc::malformed with none or several.
result<byte_view> one_field(const std::vector<tagged_field>& fields, std::uint8_t tag);

} // namespace custos::cluster
