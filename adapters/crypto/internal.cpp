#include "adapters/crypto/internal.hpp"

#include <limits>

namespace custos::crypto::internal {

error openssl_error(errc code, std::string_view doing) {
  std::string message(doing);
  if (const auto first = ERR_get_error(); first != 0) {
    std::array<char, 160> text{};
    ERR_error_string_n(first, text.data(), text.size());
    message.append(": ").append(text.data());
  }
  ERR_clear_error();
  return make_error(code, std::move(message));
}

bio_ptr bio_over(byte_view data) {
  if (data.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    return nullptr;
  return bio_ptr(BIO_new_mem_buf(data.data(), static_cast<int>(data.size())));
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

std::optional<bytes> next_pem_block(BIO* bio, const char* name) {
  unsigned char* data = nullptr;
  long size = 0;
  // An encrypted block must fail, not ask for a pass phrase on the terminal.
  const auto no_passphrase = [](char*, int, int, void*) { return 0; };
  if (PEM_bytes_read_bio(&data, &size, nullptr, name, bio, no_passphrase, nullptr) != 1)
    return std::nullopt;
  bytes out(data, data + size);
  OPENSSL_free(data);
  return out;
}

} // namespace custos::crypto::internal
