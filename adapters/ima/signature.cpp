#include "adapters/ima/signature.hpp"

#include <optional>
#include <string>

namespace custos::ima {

namespace {

constexpr std::uint8_t type_digsig = 3;          // EVM_IMA_XATTR_DIGSIG
constexpr std::uint8_t type_portable_digsig = 5; // EVM_XATTR_PORTABLE_DIGSIG
constexpr std::uint8_t type_verity_digsig = 6;   // IMA_VERITY_DIGSIG
constexpr std::uint8_t version_2 = 2;
constexpr std::uint8_t version_3 = 3;
constexpr std::size_t header_bytes = 9;

/// enum hash_algo of the kernel's include/uapi/linux/hash_info.h.
std::optional<crypto::hash_alg> hash_of(std::uint8_t number) {
  switch (number) {
  case 2:
    return crypto::hash_alg::sha1;
  case 4:
    return crypto::hash_alg::sha256;
  case 5:
    return crypto::hash_alg::sha384;
  case 6:
    return crypto::hash_alg::sha512;
  default:
    return std::nullopt;
  }
}

} // namespace

result<file_signature> parse_signature(byte_view xattr) {
  if (xattr.size() < 2)
    return make_error(errc::malformed, "the signature is cut short");
  if (xattr[0] == type_portable_digsig)
    return make_error(errc::unsupported,
                      "the signature is EVM's, of the file's metadata; expected IMA's, type 3");
  if (xattr[0] == type_verity_digsig || xattr[1] == version_3)
    return make_error(errc::unsupported,
                      "the signature is of version 3 (fs-verity); expected version 2");
  if (xattr[0] != type_digsig || xattr[1] != version_2)
    return make_error(errc::unsupported, "the signature is of type " + std::to_string(xattr[0]) +
                                             ", version " + std::to_string(xattr[1]) +
                                             "; expected type 3, version 2");
  if (xattr.size() <= header_bytes)
    return make_error(errc::malformed, "the signature is cut short");
  const auto alg = hash_of(xattr[2]);
  if (!alg)
    return make_error(errc::unsupported, "the signature's hash has number " +
                                             std::to_string(xattr[2]) +
                                             "; expected SHA-1, SHA-256, SHA-384 or SHA-512");
  file_signature out;
  out.alg = *alg;
  for (std::size_t i = 3; i < 7; ++i)
    out.key_id = out.key_id << 8 | xattr[i];
  const std::size_t size = static_cast<std::size_t>(xattr[7]) << 8 | xattr[8];
  if (size != xattr.size() - header_bytes)
    return make_error(errc::malformed, "the signature's length is not what it says");
  out.octets = xattr.subspan(header_bytes);
  return out;
}

std::uint32_t key_id_of(const crypto::key& key) {
  const auto id = crypto::subject_key_id(key);
  std::uint32_t out = 0;
  for (std::size_t i = id.size() - 4; i < id.size(); ++i)
    out = out << 8 | id.at(i);
  return out;
}

} // namespace custos::ima
