#include "runtime/consumer/agent_client.hpp"

#include "adapters/crypto/secret_encoding.hpp"
#include "messages/keys.hpp"
#include "runtime/exit_codes.hpp"
#include "runtime/local_socket.hpp"

#include <boost/json.hpp>
#include <iostream>

namespace custos::runtime {

namespace bj = boost::json;

namespace {

/// More than the agent takes for anything.
constexpr unsigned local_timeout_s = 110;
constexpr std::size_t local_text_bytes_max = 4096;
constexpr std::size_t heap_bytes = 1U << 17U;

int refused(json::object& answer) {
  auto refusal = make_error(errc::internal, "the agent refused without a reason");
  if (auto told = answer.string("message", local_text_bytes_max))
    refusal.message = *std::move(told);
  if (auto field = answer.optional_string("field", local_text_bytes_max); field && *field)
    refusal.field = **std::move(field);
  const auto code = answer.string("error", local_text_bytes_max);
  const int as_complained = complain(refusal);
  if (!code)
    return as_complained;
  if (*code == to_string(errc::unavailable) || *code == to_string(errc::timeout) ||
      *code == to_string(errc::overloaded))
    return exit_unavailable;
  return *code == to_string(errc::forbidden) ? exit_denied : exit_failure;
}

} // namespace

void prepare_for_keys() {
  if (!crypto::start_secure_heap(heap_bytes))
    std::cerr << "custos-host: memory for keys could not be locked; raise ulimit -l\n";
}

int complain(const error& e) {
  std::cerr << "custos-host: " << (e.field.empty() ? "" : e.field + ": ") << e.message << "\n";
  switch (e.code) {
  case errc::unavailable:
  case errc::timeout:
    return exit_unavailable;
  case errc::forbidden:
    return exit_denied;
  case errc::not_found:
    return exit_no_input;
  case errc::storage_failure:
  case errc::already_exists:
    return exit_cannot_create;
  default:
    return exit_bad_data;
  }
}

std::optional<int> ask_agent(const std::string& socket, const crypto::secret_bytes& question,
                             std::optional<json::object>& answer) {
  auto line = ask_local(socket, question.reveal_secret(), local_timeout_s);
  if (!line)
    return complain(line.failure());
  auto parsed = json::parse_object(as_text(line->reveal_secret()));
  if (!parsed)
    return complain(parsed.failure());
  if (parsed->has("error"))
    return refused(*parsed);
  answer = *std::move(parsed);
  return std::nullopt;
}

std::optional<int> ask_agent(const std::string& socket, const bj::object& question,
                             std::optional<json::object>& answer) {
  return ask_agent(socket, crypto::secret_bytes(as_bytes(bj::serialize(question))), answer);
}

int print_answer(const std::string& socket, const char* op, bool (*good)(json::object& answer)) {
  auto line = ask_local(socket, as_bytes(bj::serialize(bj::object{{"op", op}})), local_timeout_s);
  if (!line)
    return complain(line.failure());
  auto parsed = json::parse_object(as_text(line->reveal_secret()));
  if (!parsed)
    return complain(parsed.failure());
  // A status has an "error", too: it is the refusals that have a message beside it.
  if (parsed->has("message"))
    return refused(*parsed);
  std::cout << as_text(line->reveal_secret());
  return good(*parsed) ? exit_ok : exit_failure;
}

result<crypto::secret_bytes> key_of(json::object& answer) {
  CUSTOS_TRY(const auto text, answer.secret_string("key", (kek_bytes_max + 2) / 3 * 4));
  return crypto::secret_from_base64url(text);
}

} // namespace custos::runtime
