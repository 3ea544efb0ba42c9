// A KMIP server for tests: fast, with keys of its own, and with every fault a key server can have.
// It says "ready PORT" on standard output, then reads one command a line from standard input and
// answers each with one line, "ok ..." or "error ...". At the end of the input it stays.

#include "adapters/crypto/crypto.hpp"
#include "tests/tools/kmip_test_server/tls_listener.hpp"

#include <array>
#include <CLI/CLI.hpp>
#include <csignal>
#include <iostream>
#include <sstream>
#include <thread>
#include <unistd.h>

namespace custos::kmip_test_server {
namespace {

constexpr const char* commands = R"(commands, one a line:
  fault NAME [NUMBER] [on=OPERATION] [times=N]   happens from now on; see tests/tools/kmip_test_server/faults.hpp
  fault none                        takes all faults back
  identity CERTIFICATE KEY          what new connections are shown
  client-ca FILE                    who may connect from now on
  disconnect                        ends the connections that are there
  versions 1.4,1.0                  what is spoken
  key ID STATE HEX [NAME]           puts a key; STATE 1 Pre-Active, 2 Active, 3 Deactivated, ...
  state ID STATE                    what an administrator does to a key
  hide ID, show ID                  a key is lost, and found again
  count                             how often each operation was asked for, and connections)";

struct settings {
  tls_files tls;
  std::uint16_t port = 0;
  std::string store;
  std::vector<std::string> commands;
  answer_options answering;
};

class console {
public:
  console(settings given, fault_box& faults, key_store& keys, answers& answering,
          tls_listener& listener)
      : tls_(std::move(given.tls)), faults_(faults), keys_(keys), answers_(answering),
        listener_(listener) {}

  /// What the command came to: "ok", perhaps with something more, or "error ...".
  std::string take(const std::string& line) {
    std::istringstream words(line);
    std::string verb;
    words >> verb;
    std::string said;
    const auto done = perform(verb, words, said);
    return done ? "ok" + said : "error " + done.failure().message;
  }

private:
  result<void> perform(const std::string& verb, std::istringstream& words, std::string& said) {
    if (verb == "fault")
      return take_fault(words);
    if (verb == "identity") {
      words >> tls_.certificate >> tls_.key;
      return listener_.use(tls_);
    }
    if (verb == "client-ca") {
      words >> tls_.client_ca;
      return listener_.use(tls_);
    }
    if (verb == "disconnect") {
      listener_.disconnect();
      return {};
    }
    if (verb == "versions")
      return take_versions(words);
    if (verb == "count") {
      said = counts();
      return {};
    }
    return take_key_command(verb, words);
  }

  result<void> take_fault(std::istringstream& words) {
    std::string rest;
    std::getline(words >> std::ws, rest);
    if (rest == "none") {
      faults_.clear();
      return {};
    }
    CUSTOS_TRY(const auto f, parse_fault(rest));
    faults_.add(f);
    return {};
  }

  result<void> take_versions(std::istringstream& words) {
    std::vector<version> out;
    char between = 0;
    version one;
    while (words >> one.first >> between >> one.second) {
      out.push_back(one);
      words >> between;
    }
    if (out.empty())
      return make_error(errc::invalid_argument, "expected versions as 1.4,1.0");
    answers_.set_versions(std::move(out));
    return {};
  }

  result<void> take_key_command(const std::string& verb, std::istringstream& words) {
    stored_key key;
    std::uint32_t state = 0;
    words >> key.id;
    if (verb == "hide" || verb == "show") {
      keys_.hide(key.id, verb == "hide");
      return {};
    }
    words >> state;
    key.state = static_cast<kmip::state>(state);
    if (verb == "state")
      return keys_.change(key.id, [&key](stored_key& k) { k.state = key.state; });
    if (verb != "key")
      return make_error(errc::invalid_argument, "there is no command " + verb);
    std::string hex;
    words >> hex >> key.name;
    CUSTOS_TRY(key.material, crypto::from_hex(hex));
    CUSTOS_TRY(const auto id, keys_.add(std::move(key)));
    return {};
  }

  std::string counts() const {
    std::string out = " connections=" + std::to_string(listener_.accepted());
    for (std::uint32_t o = 0; o < operations_counted; ++o)
      if (const auto n = answers_.count(static_cast<kmip::operation>(o)); n > 0)
        out += " " + name_of_operation(static_cast<kmip::operation>(o)) + "=" + std::to_string(n);
    return out;
  }

  tls_files tls_;
  fault_box& faults_;
  key_store& keys_;
  answers& answers_;
  tls_listener& listener_;
};

int run(settings given) {
  fault_box faults;
  key_store keys(given.store);
  answers answering(given.answering, keys);
  tls_listener listener(answering, faults);
  if (const auto ready = listener.use(given.tls); !ready) {
    std::cerr << "kmip-test-server: " << ready.failure().message << "\n";
    return 66;
  }
  const auto port = listener.listen(given.port);
  if (!port) {
    std::cerr << "kmip-test-server: " << port.failure().message << "\n";
    return 69;
  }
  const auto at_start = given.commands;
  console commands_of(std::move(given), faults, keys, answering, listener);
  for (const auto& command : at_start)
    if (const auto said = commands_of.take(command); !said.starts_with("ok")) {
      std::cerr << "kmip-test-server: " << command << ": " << said << "\n";
      return 64;
    }
  std::thread([&listener] { listener.run(); }).detach();
  std::cout << "ready " << *port << std::endl;
  for (std::string line; std::getline(std::cin, line);)
    if (!line.empty())
      std::cout << commands_of.take(line) << std::endl;
  for (;;)
    ::pause();
}

int start(int argc, char** argv) {
  CLI::App app("A KMIP server for tests, with every fault a key server can have.");
  app.footer(commands);
  settings given;
  app.add_option("--port", given.port, "On 127.0.0.1; 0: any free one");
  app.add_option("--certificate", given.tls.certificate, "PEM file")->required();
  app.add_option("--key", given.tls.key, "PEM file")->required();
  app.add_option("--client-ca", given.tls.client_ca, "PEM file: issuer of clients, or themselves")
      ->required();
  app.add_option("--store", given.store, "File of keys that several servers may share");
  app.add_option("--username", given.answering.username, "Demands this user in every request");
  app.add_option("--password", given.answering.password, "That user's password");
  app.add_option("--command", given.commands, "Commands to begin with")->allow_extra_args(false);
  app.add_flag("--tls12", given.tls.tls12_only, "No TLS 1.3");
  CLI11_PARSE(app, argc, argv);
  std::signal(SIGPIPE, SIG_IGN);
  return run(std::move(given));
}

} // namespace
} // namespace custos::kmip_test_server

int main(int argc, char** argv) try {
  return custos::kmip_test_server::start(argc, argv);
} catch (...) {
  return 1;
}
