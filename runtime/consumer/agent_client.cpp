#include "runtime/consumer/agent_client.hpp"

#include "adapters/crypto/secret_encoding.hpp"
#include "messages/keys.hpp"
#include "runtime/exit_codes.hpp"
#include "runtime/local_socket.hpp"

#include <boost/json.hpp>
#include <chrono>
#include <iostream>
#include <thread>

namespace custos::runtime {

namespace bj = boost::json;

namespace {

/// More than the agent takes for anything.
constexpr unsigned local_timeout_s = 110;
constexpr std::size_t local_text_bytes_max = 4096;
constexpr std::size_t heap_bytes = 1U << 17U;

struct failure {
  error why;
  int code = exit_failure;
};

int exit_code_of(const error& e) {
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

failure refusal_of(json::object& answer) {
  failure out;
  out.why = make_error(errc::internal, "the agent refused without a reason");
  if (auto told = answer.string("message", local_text_bytes_max))
    out.why.message = *std::move(told);
  if (auto field = answer.optional_string("field", local_text_bytes_max); field && *field)
    out.why.field = **std::move(field);
  const auto code = answer.string("error", local_text_bytes_max);
  if (!code)
    out.code = exit_bad_data;
  else if (*code == to_string(errc::unavailable) || *code == to_string(errc::timeout) ||
           *code == to_string(errc::overloaded))
    out.code = exit_unavailable;
  else if (*code == to_string(errc::forbidden))
    out.code = exit_denied;
  return out;
}

int complain_of(const failure& f) {
  complain(f.why);
  return f.code;
}

std::optional<failure> ask_once(const std::string& socket, const crypto::secret_bytes& question,
                                std::optional<json::object>& answer) {
  auto line = ask_local(socket, question.reveal_secret(), local_timeout_s);
  if (!line)
    return failure{line.failure(), exit_code_of(line.failure())};
  auto parsed = json::parse_object(as_text(line->reveal_secret()));
  if (!parsed)
    return failure{parsed.failure(), exit_code_of(parsed.failure())};
  if (parsed->has("error"))
    return refusal_of(*parsed);
  answer = *std::move(parsed);
  return std::nullopt;
}

} // namespace

void prepare_for_keys() {
  if (!crypto::start_secure_heap(heap_bytes))
    std::cerr << "custos-host: memory for keys could not be locked; raise ulimit -l\n";
}

int complain(const error& e) {
  std::cerr << "custos-host: " << (e.field.empty() ? "" : e.field + ": ") << e.message << "\n";
  return exit_code_of(e);
}

std::optional<int> ask_agent(const agent_address& where, const crypto::secret_bytes& question,
                             std::optional<json::object>& answer) {
  using steady = std::chrono::steady_clock;
  constexpr std::chrono::seconds pause{1};
  const auto until = steady::now() + std::chrono::seconds(where.wait_s);
  for (;;) {
    const auto failed = ask_once(where.socket, question, answer);
    if (!failed)
      return std::nullopt;
    if (failed->code != exit_unavailable || steady::now() + pause > until)
      return complain_of(*failed);
    std::this_thread::sleep_for(pause); // a command that waits for a daemon has nothing else to do
  }
}

std::optional<int> ask_agent(const agent_address& where, const bj::object& question,
                             std::optional<json::object>& answer) {
  return ask_agent(where, crypto::secret_bytes(as_bytes(bj::serialize(question))), answer);
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
    return complain_of(refusal_of(*parsed));
  std::cout << as_text(line->reveal_secret());
  return good(*parsed) ? exit_ok : exit_failure;
}

result<crypto::secret_bytes> key_of(json::object& answer) {
  CUSTOS_TRY(const auto text, answer.secret_string("key", (kek_bytes_max + 2) / 3 * 4));
  return crypto::secret_from_base64url(text);
}

} // namespace custos::runtime
