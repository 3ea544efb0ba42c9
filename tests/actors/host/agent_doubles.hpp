#pragma once
// Counterparts of the host agent in its tests: a TPM, and a client behind which nodes attest and
// release keys. Both can be away.

#include "actors/attestation/ak_certificate.hpp"
#include "actors/attestation/ticket.hpp"
#include "actors/gateway/wire.hpp"
#include "adapters/http/http.hpp"
#include "adapters/jose/jose.hpp"
#include "messages/caf_error.hpp"
#include "messages/interfaces.hpp"

#include <boost/json.hpp>
#include <caf/all.hpp>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace custos::test {

/// What activates a credential in the double of the TPM.
inline const bytes activation_secret(32, 0x5A);

struct tpm_state {
  bool away = false;
  bool silent = false;
  std::size_t identities = 0, activations = 0, quotes = 0;
  std::size_t ak_asked = 0; ///< identities without the endorsement key
  bytes ak_name = bytes(34, 0x0B);
  std::uint32_t resets = 7;
  std::size_t ima_entries = 0; ///< entries of one octet each; none: no log
};

class tpm_double : public tpm_api::base {
public:
  tpm_double(caf::actor_config& config, std::shared_ptr<tpm_state> state)
      : tpm_api::base(config), state_(std::move(state)) {
    set_default_handler(caf::drop);
  }
  tpm_api::behavior_type make_behavior() override {
    return {
        [this](const get_tpm_identity& g) -> caf::result<tpm_identity> {
          if (g.ak_only) {
            ++state_->ak_asked;
            return answer(tpm_identity{{}, {}, {3, 4}, {}, state_->ak_name});
          }
          ++state_->identities;
          return answer(
              tpm_identity{{0x30, 0x00}, {1, 2}, {3, 4}, {{0x30, 0x01, 0x00}}, state_->ak_name});
        },
        [this](const activate_credential& c) -> caf::result<credential_activated> {
          ++state_->activations;
          const auto& secret = c.credential_blob == bytes{7} ? activation_secret : bytes(32);
          return answer(credential_activated{std::make_shared<const crypto::secret_bytes>(secret)});
        },
        [this](const make_quote& q) -> caf::result<quote_made> {
          ++state_->quotes;
          // The quote of this TPM is the data it qualifies.
          quote_made out{q.qualifying_data, {9}, {{0x000B, 7, bytes(32, 1)}}, {8, 8}};
          out.ak_name = state_->ak_name;
          out.boot = {state_->resets, 1};
          if (q.ima_resets == state_->resets)
            out.ima_first = q.ima_first;
          out.ima_log.assign(state_->ima_entries - out.ima_first, 0x0A);
          return answer(std::move(out));
        },
    };
  }

private:
  template <class T>
  caf::result<T> answer(T value) {
    if (state_->silent)
      return make_response_promise<T>();
    if (state_->away)
      return to_caf(make_error(errc::tpm_failure, "the TPM does not answer"));
    return value;
  }

  std::shared_ptr<tpm_state> state_;
};

/// All nodes of the tests, and what went to them. Answers at once, or when the test says so.
struct node_cluster {
  struct node {
    bool away = false;
    std::optional<http::response> refuses; ///< answers everything so
  };
  std::map<std::string, node> nodes;                      ///< by "https://n1"
  std::vector<std::pair<std::string, std::string>> calls; ///< node, path
  std::vector<std::string> tokens_shown;
  std::size_t clients = 0;
  bool hold = false; ///< keep answers back
  std::deque<std::function<void()>> held;

  std::int64_t now = 1'800'000'000;
  std::int64_t token_life_s = 8 * 3600;
  std::size_t granted = 0;
  crypto::key transport;
  bytes nonce;
  bytes ak_certificate; ///< the last that was issued
  std::int64_t ak_certificate_life_s = 30LL * 24 * 3600;
  evidence last;                                   ///< that a token was granted for
  std::map<std::string, std::uint64_t> ima_judged; ///< entries, by node
  std::map<std::string, http::response> instead;   ///< answers by the end of the path

  [[nodiscard]] std::size_t count(const std::string& path_end) const {
    std::size_t n = 0;
    for (const auto& [who, path] : calls)
      n += path.size() >= path_end.size() &&
                   path.compare(path.size() - path_end.size(), path_end.size(), path_end) == 0
               ? 1
               : 0;
    return n;
  }
  [[nodiscard]] std::vector<std::string> nodes_called(const std::string& path) const {
    std::vector<std::string> out;
    for (const auto& [who, called] : calls)
      if (called == path)
        out.push_back(who);
    return out;
  }
  void release() {
    while (!held.empty()) {
      auto next = std::move(held.front());
      held.pop_front();
      next();
    }
  }

  result<http::response> answer(const http::call& c) {
    const auto end = c.url.find('/', std::string("https://").size());
    const auto name = c.url.substr(0, end);
    const auto path = c.url.substr(end);
    calls.emplace_back(name, path);
    for (const auto& h : c.headers)
      if (h.name == "Authorization")
        tokens_shown.push_back(h.value);
    const auto& n = nodes.at(name);
    if (n.away)
      return make_error(errc::unavailable, name + " cannot be reached");
    if (n.refuses)
      return *n.refuses;
    if (path == "/attestation/v1/tokens")
      if (auto refusal = judge_ima(name, c.body))
        return *std::move(refusal);
    for (const auto& [path_end, given] : instead)
      if (path.size() >= path_end.size() &&
          path.compare(path.size() - path_end.size(), path_end.size(), path_end) == 0)
        return given;
    http::response r;
    r.body = body_of(name, path, c.body);
    return r;
  }

private:
  /// Each node knows what it judged itself.
  std::optional<http::response> judge_ima(const std::string& name, const std::string& body) {
    const auto e = gateway::decode_evidence(body);
    if (!e || e->ima_first == 0)
      return std::nullopt;
    if (ima_judged[name] == e->ima_first)
      return std::nullopt;
    auto refusal = make_error(errc::attestation_failed, "the entries before are not known here");
    refusal.check = "ima-log";
    refusal.retryable = true;
    return http::problem(refusal);
  }

  bytes issue() {
    const auto key = crypto::generate_p256().value();
    crypto::certificate_request r;
    r.common_name = "host-7";
    r.not_before = now - 300;
    r.not_after = now + ak_certificate_life_s;
    return crypto::issue_certificate(r, key, key, nullptr).value().der();
  }

  std::string body_of(const std::string& name, const std::string& path, const std::string& body) {
    if (path == "/attestation/v1/attestation-keys") {
      const auto r = gateway::decode_attestation_key_request(body);
      EXPECT_TRUE(r.ok());
      EXPECT_EQ(r->ek_intermediates.size(), 1U);
      ak_certificate = issue();
      return gateway::encode_attestation_key_issued(
          {{7},
           {6},
           attestation::encrypt_ak_certificate(activation_secret, ak_certificate).value()});
    }
    if (path == "/attestation/v1/challenges") {
      nonce = crypto::random_bytes(32);
      return gateway::encode_challenge({nonce, "ticket", now + 60});
    }
    if (path == "/attestation/v1/tokens") {
      const auto e = gateway::decode_evidence(body);
      EXPECT_TRUE(e.ok());
      transport = crypto::public_key_from_spki(e->transport_key).value();
      const auto binding = attestation::quote_binding(nonce, *jose::thumbprint_digest(transport));
      EXPECT_EQ(e->quote, to_bytes(binding)) << "bound to challenge and transport key";
      EXPECT_EQ(e->ticket, "ticket");
      EXPECT_EQ(e->ak_certificate, ak_certificate);
      ++granted;
      last = *e;
      ima_judged[name] = e->ima_first + e->ima_log.size();
      return gateway::encode_attestation_granted(
          {"token." + std::to_string(granted), now + token_life_s, "rack", "12",
           e->reporting ? "report." + std::to_string(granted) : "", ima_judged[name]});
    }
    const auto jwe = jose::encrypt_ecdh_es_a256kw(transport, "kid", bytes(32, 0xAB));
    return gateway::encode_generated({{1, 1, 1}, jwe.value()});
  }
};

class client_double : public http::client {
public:
  explicit client_double(std::shared_ptr<node_cluster> cluster) : cluster_(std::move(cluster)) {
    ++cluster_->clients;
  }
  void send(http::call c, callback done) override {
    auto answer = cluster_->answer(c);
    auto deliver = [answer = std::move(answer), done = std::move(done)] { done(answer); };
    if (cluster_->hold)
      cluster_->held.emplace_back(std::move(deliver));
    else
      deliver();
  }
  result<http::response> send_wait(http::call c) override { return cluster_->answer(c); }

private:
  std::shared_ptr<node_cluster> cluster_;
};

} // namespace custos::test
