#include "runtime/files.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
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

bool write_all(int fd, byte_view rest) {
  while (!rest.empty()) {
    const auto n = ::write(fd, rest.data(), rest.size());
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    rest = rest.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

/// Not every file system can rename without replacing; those that cannot have hard links.
bool rename_to_new(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0)
    return true;
  if (errno != EINVAL && errno != ENOSYS)
    return false;
  return ::link(from.c_str(), to.c_str()) == 0 && ::unlink(from.c_str()) == 0;
}

} // namespace

result<void> sync_folder(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = fd >= 0 && ::fsync(fd) == 0;
  if (fd >= 0)
    ::close(fd);
  if (!synced)
    return field_error(errc::storage_failure, folder, "the folder cannot be synced");
  return {};
}

result<void> write_new_file(const std::string& path, std::span<const byte_view> parts,
                            unsigned mode) {
  std::string fresh = path + ".XXXXXX";
  const int fd = ::mkostemp(fresh.data(), O_CLOEXEC); // mode 0600
  bool good = fd >= 0;
  for (const auto& part : parts)
    good = good && write_all(fd, part);
  good = good && ::fchmod(fd, mode) == 0 && ::fsync(fd) == 0;
  if (fd >= 0)
    good = ::close(fd) == 0 && good;
  const bool placed = good && rename_to_new(fresh, path);
  const bool taken = good && !placed && errno == EEXIST;
  if (!placed && fd >= 0)
    ::unlink(fresh.c_str());
  if (taken)
    return field_error(errc::already_exists, path, "the file exists and is not overwritten");
  if (!placed)
    return field_error(errc::storage_failure, path, "the file cannot be written");
  const auto slash = path.rfind('/');
  return sync_folder(slash == std::string::npos ? "." : path.substr(0, slash + 1));
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
