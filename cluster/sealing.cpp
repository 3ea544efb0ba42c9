#include "cluster/sealing.hpp"

#include "adapters/crypto/crypto.hpp"

#include <cassert>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace custos::cluster {

namespace {

constexpr std::size_t nonce_bytes = 12;
constexpr std::size_t tag_bytes = 16;
constexpr std::size_t sealed_overhead = 1 + nonce_bytes + tag_bytes;
constexpr std::string_view node_key_field = "node_key";

std::string additional_data(std::string_view use) {
  return std::string("custos-sealed-v1:").append(use);
}

std::string reason() {
  return std::generic_category().message(errno);
}

/// Closes a file descriptor.
class descriptor {
public:
  explicit descriptor(int fd) : fd_(fd) {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() {
    if (fd_ >= 0)
      ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

private:
  int fd_;
};

result<void> write_all(int fd, byte_view data, const std::filesystem::path& file) {
  while (!data.empty()) {
    const auto n = ::write(fd, data.data(), data.size());
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return make_error(errc::storage_failure, "writing " + file.string() + ": " + reason());
    data = data.subspan(static_cast<std::size_t>(n));
  }
  if (::fsync(fd) != 0)
    return make_error(errc::storage_failure, "syncing " + file.string() + ": " + reason());
  return {};
}

error node_key_error(errc code, const std::filesystem::path& file, const std::string& what) {
  return field_error(code, std::string(node_key_field), "node key " + file.string() + ": " + what);
}

result<void> check_node_key_file(int fd, const std::filesystem::path& file) {
  struct stat found {};
  if (::fstat(fd, &found) != 0)
    return make_error(errc::storage_failure, "looking at " + file.string() + ": " + reason());
  if (!S_ISREG(found.st_mode))
    return node_key_error(errc::forbidden, file, "expected a regular file");
  if ((found.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return node_key_error(errc::forbidden, file,
                          "expected that nobody but its owner may use it (chmod 600)");
  if (found.st_uid != ::geteuid() && found.st_uid != 0)
    return node_key_error(errc::forbidden, file, "expected that it belongs to this user or root");
  if (found.st_size != static_cast<off_t>(node_key_bytes))
    return node_key_error(errc::corrupted, file,
                          "expected " + std::to_string(node_key_bytes) + " bytes");
  return {};
}

} // namespace

sealer::sealer(crypto::secret_ptr data_key) : data_key_(std::move(data_key)) {
  assert(data_key_ && data_key_->size() == data_key_bytes);
}

result<sealed_secret> sealer::seal(byte_view secret, std::string_view use) const {
  const auto nonce = crypto::random_bytes(nonce_bytes);
  CUSTOS_TRY(const auto body, crypto::aes256_gcm_seal(data_key_->reveal_secret(), nonce,
                                                      as_bytes(additional_data(use)), secret));
  sealed_secret out;
  out.sealed.reserve(sealed_overhead + body.ciphertext.size());
  out.sealed.push_back(sealed_version);
  out.sealed.insert(out.sealed.end(), nonce.begin(), nonce.end());
  out.sealed.insert(out.sealed.end(), body.ciphertext.begin(), body.ciphertext.end());
  out.sealed.insert(out.sealed.end(), body.tag.begin(), body.tag.end());
  return out;
}

result<crypto::secret_bytes> sealer::open(const sealed_secret& sealed, std::string_view use) const {
  const byte_view all(sealed.sealed);
  if (all.size() < sealed_overhead)
    return make_error(errc::malformed, "sealed value for " + std::string(use) +
                                           ": expected a version, a nonce and a tag");
  if (all.front() != sealed_version)
    return make_error(errc::unsupported,
                      "sealed value for " + std::string(use) + ": expected version 1");
  auto opened = crypto::aes256_gcm_open(
      data_key_->reveal_secret(), all.subspan(1, nonce_bytes), as_bytes(additional_data(use)),
      all.subspan(1 + nonce_bytes, all.size() - sealed_overhead), all.last(tag_bytes));
  if (!opened)
    return make_error(errc::crypto_failure,
                      "sealed value for " + std::string(use) +
                          " does not open: sealed by another cluster, for another use, or changed");
  return opened;
}

std::string client_private_key_use(std::string_view provider) {
  return std::string("key-provider/").append(provider).append("/client-private-key");
}

std::string token_key_use(std::string_view kid) {
  return std::string("token-key/").append(kid);
}

std::string password_use(std::string_view provider) {
  return std::string("key-provider/").append(provider).append("/password");
}

result<crypto::secret_bytes> create_node_key_file(const std::filesystem::path& file) {
  const descriptor fd(
      ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (fd.get() < 0 && errno == EEXIST)
    return node_key_error(errc::already_exists, file, "it exists already");
  if (fd.get() < 0)
    return make_error(errc::storage_failure, "making " + file.string() + ": " + reason());
  auto key = crypto::random_secret(node_key_bytes);
  CUSTOS_CHECK(write_all(fd.get(), key.reveal_secret(), file));
  return key;
}

result<crypto::secret_bytes> read_node_key_file(const std::filesystem::path& file) {
  const descriptor fd(::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0 && errno == ENOENT)
    return node_key_error(errc::not_found, file,
                          "it is missing; without it the secrets of this node cannot be opened");
  if (fd.get() < 0 && (errno == EACCES || errno == ELOOP))
    return node_key_error(errc::forbidden, file, reason());
  if (fd.get() < 0)
    return make_error(errc::storage_failure, "opening " + file.string() + ": " + reason());
  CUSTOS_CHECK(check_node_key_file(fd.get(), file));
  crypto::secret_bytes key(node_key_bytes);
  std::size_t done = 0;
  while (done < key.size()) {
    const auto n = ::read(fd.get(), key.writable_secret().data() + done, key.size() - done);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return make_error(errc::storage_failure, "reading " + file.string() + ": " + reason());
    done += static_cast<std::size_t>(n);
  }
  return key;
}

result<bytes> wrap_data_key(const crypto::secret_bytes& node_key,
                            const crypto::secret_bytes& data_key) {
  return crypto::aes_kwp_wrap(node_key.reveal_secret(), data_key.reveal_secret());
}

result<crypto::secret_bytes> unwrap_data_key(const crypto::secret_bytes& node_key,
                                             byte_view wrapped) {
  auto key = crypto::aes_kwp_unwrap(node_key.reveal_secret(), wrapped);
  if (!key || key->size() != data_key_bytes)
    return field_error(errc::crypto_failure, std::string(node_key_field),
                       "the data key does not open: the node key belongs to another node, or the "
                       "wrapped key was changed");
  return key;
}

} // namespace custos::cluster
