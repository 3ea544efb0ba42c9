#include "runtime/files.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

namespace custos::runtime {

result<std::string> read_text_file(const std::string& path, std::size_t bytes_max) {
  std::ifstream in(path, std::ios::binary);
  if (!in)
    return field_error(errc::not_found, path, "the file cannot be read");
  std::string out;
  std::array<char, 8192> part{};
  while (in.read(part.data(), part.size()), in.gcount() > 0) {
    out.append(part.data(), static_cast<std::size_t>(in.gcount()));
    if (out.size() > bytes_max)
      return field_error(errc::too_large, path,
                         "expected a file of at most " + std::to_string(bytes_max) + " bytes");
  }
  return out;
}

result<void> write_file(const std::string& path, byte_view content, unsigned mode) {
  const auto fresh = path + ".new";
  ::unlink(fresh.c_str());
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  const bool written =
      fd >= 0 && ::fchmod(fd, mode) == 0 && // whatever the umask
      ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()) &&
      ::fsync(fd) == 0;
  if (fd >= 0)
    ::close(fd);
  if (!written || ::rename(fresh.c_str(), path.c_str()) != 0)
    return field_error(errc::storage_failure, path, "the file cannot be written");
  return {};
}

namespace {

bool is_ip_address(const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> out{};
  return ::inet_pton(AF_INET, text.c_str(), out.data()) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), out.data()) == 1;
}

} // namespace

result<http::tls_identity> load_or_make_identity(const identity_request& r, std::int64_t now) {
  constexpr std::int64_t life_s = 10LL * 365 * 24 * 3600;
  constexpr std::int64_t skew_s = 300;
  const auto certificate_file = r.data_dir + "/" + r.file + ".crt";
  const auto key_file = r.data_dir + "/" + r.file + ".key";
  auto kept = read_text_file(certificate_file, pem_file_bytes_max);
  if (kept) {
    CUSTOS_TRY(auto der, read_text_file(key_file, pem_file_bytes_max));
    auto key = crypto::private_key_from_pkcs8(as_bytes(der));
    crypto::wipe(der.data(), der.size());
    if (!key)
      return field_error(errc::corrupted, key_file, key.failure().message);
    return http::tls_identity{*std::move(kept), *std::move(key)};
  }
  CUSTOS_TRY(auto key, crypto::generate_p256());
  crypto::certificate_request request;
  request.common_name = r.name;
  request.server_auth = true;
  request.not_before = now - skew_s;
  request.not_after = now + life_s;
  for (const auto& a : r.addresses)
    (is_ip_address(a) ? request.ip_addresses : request.dns_names).push_back(a);
  CUSTOS_TRY(const auto certificate, crypto::issue_certificate(request, key, key, nullptr));
  const auto der = key.pkcs8_der();
  CUSTOS_CHECK(write_file(key_file, der.reveal_secret(), 0600));
  CUSTOS_CHECK(write_file(certificate_file, as_bytes(certificate.pem()), 0644));
  return http::tls_identity{certificate.pem(), key};
}

result<http::tls_identity> load_identity(const std::string& certificate_file,
                                         const std::string& key_file) {
  CUSTOS_TRY(auto chain, read_text_file(certificate_file, pem_file_bytes_max));
  if (auto read = crypto::certificates_from_pem(as_bytes(chain)); !read)
    return field_error(errc::invalid_argument, certificate_file, read.failure().message);
  CUSTOS_TRY(auto pem, read_text_file(key_file, pem_file_bytes_max));
  auto key = crypto::private_key_from_pem(as_bytes(pem));
  crypto::wipe(pem.data(), pem.size());
  if (!key)
    return field_error(errc::invalid_argument, key_file, key.failure().message);
  return http::tls_identity{std::move(chain), *std::move(key)};
}

} // namespace custos::runtime
