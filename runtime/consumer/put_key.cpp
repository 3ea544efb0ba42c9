#include "actors/host/ciphertext_file.hpp"
#include "adapters/crypto/crypto.hpp"
#include "adapters/crypto/secret_encoding.hpp"
#include "messages/keys.hpp"
#include "runtime/consumer/agent_client.hpp"
#include "runtime/consumer/commands.hpp"
#include "runtime/exit_codes.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace custos::runtime {

namespace bj = boost::json;

namespace {

/// As hex with a line end.
constexpr std::size_t input_bytes_max = kek_bytes_max * 2 + 2;

result<crypto::secret_bytes> read_input(const std::string& in) {
  const int fd = in == "-" ? STDIN_FILENO : ::open(in.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return field_error(errc::not_found, in, "the file cannot be read");
  crypto::secret_bytes out(input_bytes_max + 1);
  std::size_t size = 0;
  ssize_t n = 1;
  while (n > 0 && size < out.size()) {
    const auto room = out.writable_secret().subspan(size);
    n = ::read(fd, room.data(), room.size());
    if (n < 0 && errno == EINTR)
      n = 1; // nothing was read: once more
    else if (n > 0)
      size += static_cast<std::size_t>(n);
  }
  if (in != "-")
    ::close(fd);
  if (n < 0)
    return field_error(errc::not_found, in, "the key cannot be read");
  if (size > input_bytes_max)
    return field_error(errc::too_large, in, "expected a key of 16 to 64 bytes");
  out.shrink(size);
  return out;
}

/// Text may end its line; raw octets are what they are.
void drop_line_end(crypto::secret_bytes& text) {
  auto size = text.size();
  while (size != 0 &&
         (text.reveal_secret()[size - 1] == '\n' || text.reveal_secret()[size - 1] == '\r'))
    --size;
  text.shrink(size);
}

result<crypto::secret_bytes> read_key(const put_key_options& o) {
  CUSTOS_TRY(auto input, read_input(o.in));
  if (o.format != key_format::raw)
    drop_line_end(input);
  auto key = o.format == key_format::hex      ? crypto::secret_from_hex(input)
             : o.format == key_format::base64 ? crypto::secret_from_base64(input)
                                              : result<crypto::secret_bytes>(std::move(input));
  if (!key)
    return field_error(errc::malformed, "--in", key.failure().message);
  if (key->size() < kek_bytes_min || key->size() > kek_bytes_max)
    return field_error(errc::invalid_argument, "--in",
                       "expected a key of 16 to 64 bytes, not of " + std::to_string(key->size()));
  return key;
}

/// {"key":"...",<rest of the object>, without a copy of the key in between.
crypto::secret_bytes question_of(const crypto::secret_bytes& key, const bj::object& rest) {
  const auto text = crypto::base64url_of(key);
  const auto others = bj::serialize(rest);
  constexpr std::string_view head = R"({"key":")";
  constexpr std::string_view between = R"(",)";
  crypto::secret_bytes out(head.size() + text.size() + between.size() + others.size() - 1);
  auto* at = out.writable_secret().data();
  at = std::copy(head.begin(), head.end(), at);
  at = std::copy_n(text.reveal_secret().data(), text.size(), at);
  at = std::copy(between.begin(), between.end(), at);
  std::copy(others.begin() + 1, others.end(), at);
  return out;
}

} // namespace

int put_key(const agent_address& agent, const put_key_options& o) {
  std::error_code failed;
  if (std::filesystem::exists(std::filesystem::symlink_status(o.to.ciphertext, failed)))
    return complain(field_error(errc::already_exists, o.to.ciphertext,
                                "the file exists and is not overwritten"));
  const auto key = read_key(o);
  if (!key)
    return complain(key.failure());
  const auto context = o.to.context.value_or("");
  bj::object rest{{"op", "encrypt"}, {"provider", o.to.provider}};
  if (!context.empty())
    rest["context"] = crypto::base64url(as_bytes(context));
  std::optional<json::object> answer;
  if (const auto code = ask_agent(agent, question_of(*key, rest), answer))
    return *code;
  auto ciphertext = answer->base64url("ciphertext", kek_ciphertext_bytes_max);
  if (!ciphertext)
    return complain(ciphertext.failure());
  if (auto written = host::create_ciphertext(o.to.ciphertext, *ciphertext, as_bytes(context));
      !written)
    return complain(written.failure());
  return exit_ok;
}

} // namespace custos::runtime
