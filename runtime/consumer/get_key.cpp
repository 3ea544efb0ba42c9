#include "actors/host/ciphertext_file.hpp"
#include "actors/host/files.hpp"
#include "adapters/crypto/crypto.hpp"
#include "messages/keys.hpp"
#include "runtime/consumer/agent_client.hpp"
#include "runtime/consumer/commands.hpp"
#include "runtime/exit_codes.hpp"

#include <boost/json.hpp>

namespace custos::runtime {

namespace bj = boost::json;

namespace {

/// Generates a key and writes its ciphertext, before the key is used for anything. `key` stays
/// empty where somebody else was faster: then theirs is to be opened.
std::optional<int> create_key(const agent_address& agent, const get_key_options& o,
                              const std::string& file, bool or_open, crypto::secret_bytes& key) {
  if (o.from.provider.empty())
    return complain(field_error(errc::invalid_argument, "--provider",
                                "expected the trusted key provider of the new key"));
  const auto context = o.from.context.value_or("");
  bj::object question{{"op", "generate"}, {"provider", o.from.provider}, {"bytes", o.key_bytes}};
  if (!context.empty())
    question["context"] = crypto::base64url(as_bytes(context));
  std::optional<json::object> answer;
  if (const auto code = ask_agent(agent, question, answer))
    return code;
  auto ciphertext = answer->base64url("ciphertext", kek_ciphertext_bytes_max);
  auto fresh = key_of(*answer);
  if (!ciphertext || !fresh)
    return complain(ciphertext ? fresh.failure() : ciphertext.failure());
  auto written = host::create_ciphertext(file, *ciphertext, as_bytes(context));
  std::error_code failed;
  if (!written && written.failure().code == errc::already_exists && or_open &&
      std::filesystem::exists(file, failed))
    return std::nullopt;
  if (!written)
    return complain(written.failure());
  key = *std::move(fresh);
  return std::nullopt;
}

} // namespace

std::optional<int> open_key(const agent_address& agent, const key_source& from,
                            crypto::secret_bytes& key) {
  auto file = host::read_ciphertext_file(from.ciphertext);
  if (!file)
    return complain(file.failure());
  if (!from.provider.empty() && from.provider != file->provider)
    return complain(field_error(errc::invalid_argument, "--provider",
                                "the ciphertext is of provider " + file->provider));
  const auto context = from.context ? to_bytes(*from.context) : file->context;
  bj::object question{{"op", "decrypt"},
                      {"provider", file->provider},
                      {"ciphertext", crypto::base64url(file->ciphertext)}};
  if (!context.empty())
    question["context"] = crypto::base64url(context);
  std::optional<json::object> answer;
  if (const auto code = ask_agent(agent, question, answer))
    return code;
  auto opened = key_of(*answer);
  if (!opened)
    return complain(opened.failure());
  key = *std::move(opened);
  return std::nullopt;
}

int get_key(const agent_address& agent, const get_key_options& o) {
  if (auto good = check_output(o.to); !good)
    return complain(good.failure());
  const bool open = !o.from.ciphertext.empty();
  if (!open && o.ciphertext_out.empty())
    return complain(field_error(errc::invalid_argument, "--ciphertext",
                                "expected a file: without its ciphertext a new key is lost"));
  std::error_code failed;
  const bool missing = open && !std::filesystem::exists(o.from.ciphertext, failed);
  crypto::secret_bytes key;
  if (!open || (missing && o.create)) {
    const auto& file = open ? o.from.ciphertext : o.ciphertext_out;
    if (const auto code = create_key(agent, o, file, open, key))
      return *code;
  }
  if (key.empty())
    if (const auto code = open_key(agent, o.from, key))
      return *code;
  if (auto written = write_key(o.to, key); !written)
    return complain(written.failure());
  return exit_ok;
}

} // namespace custos::runtime
