#include "cluster/backup/file.hpp"

namespace custos::backup {

namespace {

/// A key for one use out of the content key.
crypto::secret_bytes derived(const crypto::secret_bytes& content_key, std::string_view use) {
  auto octets = crypto::hmac_sha256(content_key.reveal_secret(), {as_bytes(use)});
  crypto::secret_bytes out{byte_view(octets)};
  crypto::wipe(octets.data(), octets.size());
  return out;
}

crypto::secret_bytes chunk_key(const crypto::secret_bytes& content_key) {
  return derived(content_key, "custos-backup-chunks-v1");
}

crypto::sha256_digest mac_of(const header& head, const crypto::secret_bytes& content_key) {
  const auto key = derived(content_key, "custos-backup-header-v1");
  return crypto::hmac_sha256(key.reveal_secret(), {as_bytes(mac_octets(head))});
}

result<void> address(header& head, const crypto::secret_bytes& content_key,
                     const std::vector<addressee>& to) {
  if (to.empty() || to.size() > recipients_max)
    return field_error(errc::too_large, "recipient",
                       "expected 1 to " + std::to_string(recipients_max) + " recipients");
  head.recipients.clear();
  for (const auto& one : to) {
    CUSTOS_TRY(auto wrapped, wrap_content_key(content_key, one));
    head.recipients.push_back(std::move(wrapped));
  }
  head.mac = mac_of(head, content_key);
  return {};
}

} // namespace

result<std::string> make_file(description about, const crypto::key& signing_key,
                              const std::vector<addressee>& to,
                              std::span<const byte_view> content) {
  const auto content_key = crypto::random_secret(content_key_bytes);
  std::size_t size = 0;
  for (const auto& part : content)
    size += part.size();
  std::string out;
  out.reserve(header_bytes_max + sealed_size(std::min(size, content_bytes_max)));
  CUSTOS_CHECK(seal_chunks(chunk_key(content_key).reveal_secret(), content, out));
  header head;
  head.about = std::move(about);
  head.sealed.bytes = out.size();
  head.sealed.sha256 = crypto::sha256(as_bytes(out));
  CUSTOS_TRY(head.signature, sign_header(head, signing_key));
  CUSTOS_CHECK(address(head, content_key, to));
  out.insert(0, write_header(head)); // into memory reserved above
  return out;
}

result<opened_file> read_file(byte_view file) {
  if (file.size() > file_bytes_max)
    return make_error(errc::too_large, "expected a backup of at most " +
                                           std::to_string(file_bytes_max >> 20U) + " MiB");
  const auto start = as_text(file.first(std::min(file.size(), header_bytes_max)));
  const auto end = start.find('\n');
  if (end == std::string_view::npos)
    return make_error(errc::malformed, "expected a backup: a line of JSON and what is sealed");
  opened_file out;
  CUSTOS_TRY(out.head, parse_header(start.substr(0, end)));
  CUSTOS_CHECK(check_signature(out.head));
  out.sealed = file.subspan(end + 1);
  if (out.sealed.size() != out.head.sealed.bytes)
    return make_error(
        errc::corrupted,
        "the sealed part has " + std::to_string(out.sealed.size()) + " bytes, expected " +
            std::to_string(out.head.sealed.bytes) +
            (out.sealed.size() < out.head.sealed.bytes ? ": the file was cut off" : ""));
  if (crypto::sha256(out.sealed) != out.head.sealed.sha256)
    return make_error(errc::corrupted, "the sealed part is not the one whose digest was signed");
  return out;
}

result<crypto::secret_bytes> content_key_of(const header& head, const opener& with) {
  CUSTOS_TRY(auto content_key, unwrap_content_key(head.recipients, with));
  if (!crypto::equal(mac_of(head, content_key), head.mac))
    return field_error(errc::corrupted, "/mac", "the header was changed after it was written");
  return content_key;
}

result<std::string> readdressed(header head, const crypto::secret_bytes& content_key,
                                const std::vector<addressee>& to) {
  CUSTOS_CHECK(address(head, content_key, to));
  return write_header(head);
}

result<crypto::wiped_bytes> open_content(const opened_file& file,
                                         const crypto::secret_bytes& content_key) {
  return open_chunks(chunk_key(content_key).reveal_secret(), file.sealed);
}

} // namespace custos::backup
