#pragma once
// The file that carries a base image from a golden host to the cluster (docs/image-format.md): a
// gzip'ed tar of image.json and, if it is signed, image.json.jws; or plain JSON. Pure. Errors:
// malformed, too_large, unsupported, invalid_argument (with field), and errc::token_invalid with
// check "image-signature" or the rule of the JWS that failed.

#include "adapters/crypto/crypto.hpp"
#include "messages/config.hpp"
#include "messages/error.hpp"

#include <optional>
#include <span>
#include <string>

namespace custos::cluster {

inline constexpr std::size_t image_file_bytes_max = std::size_t{16} << 20;
inline constexpr std::int64_t image_format_version = 1;
/// What an image file is called, behind NAME-VERSION.
inline constexpr std::string_view image_file_suffix = ".custos-image.tgz";

struct image_file {
  base_image image;
  std::int64_t created = 0;          ///< unix seconds; 0 where the file does not say
  std::string created_by;            ///< program and version; for people
  std::optional<crypto::key> signer; ///< whose signature holds; one of the trusted
};

/// The file: packed, signed if there is a key. Equal input, equal image.json.
result<bytes> write_image_file(const image_file& file, const crypto::key* sign_key);

/// The same as plain JSON, for people and other tools; it cannot be signed.
std::string write_image_json(const image_file& file);

/// Reads either form, or a bare document with its "name". With trusted keys, it must be signed by
/// one of them; without, a signature is not looked at.
result<image_file> read_image_file(byte_view content, std::span<const crypto::key> trusted = {});

/// NAME-VERSION.custos-image.tgz, with '_' for what has no place in a file name.
std::string image_file_name(const base_image& image);

} // namespace custos::cluster
