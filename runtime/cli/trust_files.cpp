#include "runtime/cli/trust_files.hpp"

#include "adapters/tpm/structures.hpp"
#include "runtime/files.hpp"

#include <algorithm>
#include <filesystem>

namespace custos::cli {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t ca_files_max = 1024;
constexpr std::size_t crl_file_bytes_max = 2U << 20U; // PEM of the largest list
constexpr std::size_t fingerprint_hex = 64;
constexpr std::string_view pem_begin = "-----BEGIN ";

bool is_pem(const std::string& text) {
  return text.find(pem_begin) != std::string::npos;
}

/// The key of whatever form of an endorsement key this is.
result<crypto::key> key_in(const std::string& text) {
  if (is_pem(text)) {
    if (auto key = crypto::public_key_from_pem(as_bytes(text)); key)
      return key;
    CUSTOS_TRY(const auto all, crypto::certificates_from_pem(as_bytes(text)));
    return all.front().public_key();
  }
  if (auto area = tpm::parse_public(as_bytes(text)); area)
    return area->key;
  CUSTOS_TRY(const auto one, crypto::certificate_from_nv(as_bytes(text)));
  return one.public_key();
}

} // namespace

result<std::vector<crypto::certificate>> read_certificates(const std::string& file) {
  CUSTOS_TRY(const auto text, runtime::read_text_file(file, runtime::pem_file_bytes_max));
  if (is_pem(text)) {
    auto all = crypto::certificates_from_pem(as_bytes(text));
    if (!all)
      return in_file(file, all.failure());
    return all;
  }
  auto one = crypto::certificate_from_nv(as_bytes(text));
  if (!one)
    return in_file(file, one.failure());
  return std::vector<crypto::certificate>{*std::move(one)};
}

result<std::vector<crypto::certificate>> read_certificate_folder(const std::string& folder) {
  std::error_code failed;
  std::vector<std::string> files;
  for (fs::directory_iterator i(folder, failed), end; !failed && i != end; i.increment(failed)) {
    const auto kind = i->path().extension();
    if (kind == ".pem" || kind == ".crt" || kind == ".cer" || kind == ".der")
      files.push_back(i->path());
    if (files.size() > ca_files_max)
      return field_error(errc::too_large, folder, "expected at most 1024 certificate files");
  }
  if (failed)
    return field_error(errc::not_found, folder, "cannot be read: " + failed.message());
  std::sort(files.begin(), files.end());
  std::vector<crypto::certificate> out;
  for (const auto& file : files) {
    CUSTOS_TRY(auto some, read_certificates(file));
    std::move(some.begin(), some.end(), std::back_inserter(out));
  }
  if (out.empty())
    return field_error(errc::not_found, folder,
                       "expected certificates in files *.pem, *.crt, *.cer or *.der");
  return out;
}

result<std::vector<crypto::certificate_revocation_list>>
read_crls(const std::vector<std::string>& files) {
  std::vector<crypto::certificate_revocation_list> out;
  for (const auto& file : files) {
    CUSTOS_TRY(const auto text, runtime::read_text_file(file, crl_file_bytes_max));
    auto one =
        is_pem(text) ? crypto::crl_from_pem(as_bytes(text)) : crypto::crl_from_der(as_bytes(text));
    if (!one)
      return in_file(file, one.failure());
    out.push_back(*std::move(one));
  }
  return out;
}

result<std::string> ek_fingerprint(const std::string& hex_or_file) {
  if (hex_or_file.size() == fingerprint_hex)
    if (const auto octets = crypto::from_hex(hex_or_file); octets)
      return crypto::hex(*octets);
  CUSTOS_TRY(const auto text, runtime::read_text_file(hex_or_file, runtime::pem_file_bytes_max));
  const auto key = key_in(text);
  if (!key)
    return in_file(hex_or_file, key.failure());
  if (!*key)
    return in_file(hex_or_file, make_error(errc::malformed, "expected an RSA or ECC key"));
  return crypto::hex(crypto::sha256(key->spki_der()));
}

} // namespace custos::cli
