#include "actors/host/agent_actor.hpp"

#include "actors/attestation/ak_certificate.hpp"
#include "actors/attestation/ticket.hpp"
#include "actors/gateway/wire.hpp"
#include "adapters/jose/jose.hpp"
#include "messages/caf_error.hpp"
#include "messages/config_commands.hpp"

namespace custos::host {

namespace {

constexpr std::chrono::seconds tpm_budget{60};
constexpr std::chrono::milliseconds call_timeout{10000};
constexpr std::int64_t transport_certificate_life_s = 400LL * 24 * 3600;
constexpr std::int64_t clock_skew_s = 300;

class agent_actor : public host_agent_api::base {
public:
  agent_actor(caf::actor_config& config, agent_dependencies given)
      : host_agent_api::base(config), given_(std::move(given)) {
    set_default_handler(caf::drop);
  }
  const char* name() const override { return "host_agent"; }

  /// A promise that is kept would keep this actor, too.
  void on_exit() override {
    for (auto& promise : waiting_)
      promise.deliver(to_caf(make_error(errc::cancelled, "the agent is stopping")));
    waiting_.clear();
  }

  host_agent_api::behavior_type make_behavior() override {
    status_.host = given_.host;
    status_.state = "unconfigured";
    auto kept = load_services(*given_.store);
    if (!kept)
      fail(kept.failure());
    else if (*kept)
      use(**kept);
    return {
        [this](const host_services& s) { return apply(s); },
        [this](const clear_host_services&) { return clear(); },
        [this](const get_host_status&) -> caf::result<host_status> { return present(); },
        [this](const attest_now&) -> caf::result<host_status> {
          auto promise = make_response_promise<host_status>();
          waiting_.push_back(promise);
          failures_ = 0;
          begin();
          return promise;
        },
        [this](const request_key& r) { return ask_for_key(r); },
        [this](const tick& t) {
          if (t.id == timer_)
            begin();
        },
        [](const deferred_call& call) { (*call.run)(nullptr); },
    };
  }

private:
  using answered = std::function<void(result<http::response>)>;

  // ---- configuration

  caf::result<services_applied> apply(const host_services& s) {
    if (auto saved = save_services(*given_.store, s); !saved)
      return to_caf(saved.failure());
    use(s);
    return services_applied{s.revision, services_fingerprint(s)};
  }

  caf::result<services_applied> clear() {
    if (auto erased = erase_services(*given_.store); !erased)
      return to_caf(erased.failure());
    services_.reset();
    client_.reset();
    token_.clear();
    ak_certificate_.clear();
    ++attempt_;
    ++timer_;
    busy_ = false;
    status_ = host_status{};
    status_.host = given_.host;
    status_.state = "unconfigured";
    settle(); // whoever waits for an attempt: there will be none
    return services_applied{};
  }

  void use(const host_services& s) {
    services_ = s;
    status_.services_revision = s.revision;
    status_.services_fingerprint = services_fingerprint(s);
    client_.reset(); // other anchors, another connection, another key
    ak_certificate_.clear();
    token_.clear();
    token_expires_ = 0;
    status_.state = "attesting";
    failures_ = 0;
    ++attempt_;
    busy_ = false;
    schedule(0);
  }

  // ---- time

  void schedule(std::int64_t after_s) {
    status_.next_attempt = given_.now() + after_s;
    ++timer_;
    delayed_send(this, std::chrono::seconds(after_s), tick{timer_});
  }

  /// The status as of now: a token ends without anybody telling.
  host_status present() const {
    auto out = status_;
    if (out.state == "attested" && token_expires_ <= given_.now()) {
      out.state = "failed";
      if (out.error.empty())
        out.error = "the token has expired";
    }
    return out;
  }

  void changed() {
    if (given_.report)
      given_.report(status_);
  }

  void fail(const error& e) {
    ++attempt_; // late answers of this attempt count no more
    ++failures_;
    busy_ = false;
    status_.state = token_.empty() || token_expires_ <= given_.now() ? "failed" : status_.state;
    status_.error = e.message;
    status_.check = e.check;
    status_.pcr = e.pcr;
    status_.event = e.event;
    if (e.code == errc::attestation_failed || e.check == "ak-certificate") {
      // The verdict is no: what was granted before says nothing about what runs now.
      status_.state = "failed";
      token_.clear();
      if (e.check == "ak-certificate" || e.check == "ek-not-trusted")
        ak_certificate_.clear();
    }
    std::uint32_t wait = back_off_s(failures_, crypto::random_bytes(1)[0]);
    if (e.retry_after_s)
      wait = std::max(wait, std::min(*e.retry_after_s, 300U));
    schedule(wait);
    settle();
  }

  void settle() {
    changed();
    for (auto& promise : waiting_)
      promise.deliver(status_);
    waiting_.clear();
  }

  // ---- HTTP: every node in turn, beginning with the one that answered last

  struct question {
    std::vector<std::string> nodes;
    std::string path;
    std::string body;
    std::vector<http::header> headers;
    /// The client of the configuration that asked: another one may be in force, or none, when the
    /// next node's turn comes.
    std::shared_ptr<http::client> through;
    std::size_t first = 0; ///< node to begin with
    std::size_t tried = 0;
  };

  void post(std::vector<std::string> nodes, std::string path, std::string body,
            std::vector<http::header> headers, answered finish) {
    call({std::move(nodes), std::move(path), std::move(body), std::move(headers), client_,
          preferred_},
         std::move(finish));
  }

  void call(question q, answered finish) {
    http::call c;
    const auto index = (q.first + q.tried) % q.nodes.size();
    c.method = "POST";
    c.url = q.nodes[index] + q.path;
    c.body = q.body;
    c.headers = q.headers;
    c.timeout = call_timeout;
    auto through = q.through;
    const caf::weak_actor_ptr self = ctrl();
    auto step = [this, self, index, q = std::move(q),
                 finish = std::move(finish)](result<http::response> r) mutable {
      auto in_actor = [this, index, q = std::move(q), finish = std::move(finish),
                       r = std::move(r)](caf::event_based_actor*) mutable {
        const bool away = !r || r->status == 503 || r->status == 504 || r->status == 502;
        if (away && ++q.tried < q.nodes.size())
          return call(std::move(q), std::move(finish));
        if (!away)
          preferred_ = index;
        finish(std::move(r));
      };
      if (auto strong = caf::actor_cast<caf::strong_actor_ptr>(self))
        caf::anon_send(caf::actor_cast<caf::actor>(strong),
                       deferred_call{std::make_shared<std::function<void(caf::event_based_actor*)>>(
                           std::move(in_actor))});
    };
    through->send(std::move(c), std::move(step));
  }

  /// Goes on with the decoded answer, or fails the attempt. Answers of an older attempt are
  /// dropped.
  template <class T>
  answered expect(result<T> (*decode)(std::string_view), std::function<void(T)> go_on) {
    return [this, attempt = attempt_, decode, go_on = std::move(go_on)](result<http::response> r) {
      if (attempt != attempt_)
        return;
      if (!r)
        return fail(r.failure());
      if (r->status != 200)
        return fail(http::error_of(*r));
      auto value = decode(r->body);
      if (!value)
        return fail(value.failure());
      go_on(*std::move(value));
    };
  }

  template <class Answer, class Message>
  void ask_tpm(Message message, std::function<void(Answer)> go_on) {
    const auto attempt = attempt_;
    request(given_.tpm, tpm_budget, std::move(message))
        .then(
            [this, attempt, go_on](Answer& a) {
              if (attempt == attempt_)
                go_on(std::move(a));
            },
            [this, attempt](const caf::error& e) {
              if (attempt == attempt_)
                fail(from_caf(e));
            });
  }

  // ---- the attempt, step by step

  void begin() {
    if (!services_ || services_->attestation.empty()) {
      status_.state = "unconfigured";
      status_.error = "no attestation service is configured";
      return settle();
    }
    if (busy_)
      return;
    busy_ = true;
    ++attempt_;
    if (token_.empty())
      status_.state = "attesting";
    if (auto ready = make_transport(); !ready)
      return fail(ready.failure());
    if (!ak_certificate_.empty())
      return challenge_step();
    ask_tpm<tpm_identity>(get_tpm_identity{},
                          [this](tpm_identity identity) { enrol(std::move(identity)); });
  }

  /// The transport key lives in memory only: whoever restarts attests again.
  result<void> make_transport() {
    if (client_)
      return {};
    CUSTOS_TRY(transport_, crypto::generate_p256());
    crypto::certificate_request r;
    r.common_name = given_.host;
    r.client_auth = true;
    r.not_before = given_.now() - clock_skew_s;
    r.not_after = given_.now() + transport_certificate_life_s;
    CUSTOS_TRY(const auto certificate,
               crypto::issue_certificate(r, transport_, transport_, nullptr));
    CUSTOS_TRY(client_, given_.connect(services_->trusted_ca, {certificate.pem(), transport_}));
    return {};
  }

  void enrol(tpm_identity identity) {
    attestation_key_request r;
    r.host = given_.host;
    r.ek_certificate = std::move(identity.ek_certificate);
    r.ek_public = std::move(identity.ek_public);
    r.ak_public = std::move(identity.ak_public);
    post(services_->attestation, "/attestation/v1/attestation-keys",
         gateway::encode_attestation_key_request(r), {},
         expect<attestation_key_issued>(
             gateway::decode_attestation_key_issued, [this](attestation_key_issued issued) {
               activate_credential c{issued.credential_blob, issued.encrypted_secret};
               ask_tpm<credential_activated>(
                   std::move(c), [this, issued](const credential_activated& a) {
                     auto der = attestation::decrypt_ak_certificate(a.secret->reveal_secret(),
                                                                    issued.encrypted_certificate);
                     if (!der)
                       return fail(der.failure());
                     ak_certificate_ = *std::move(der);
                     challenge_step();
                   });
             }));
  }

  void challenge_step() {
    post(services_->attestation, "/attestation/v1/challenges", "{}", {},
         expect<challenge>(gateway::decode_challenge,
                           [this](challenge c) { quote_step(std::move(c)); }));
  }

  void quote_step(challenge c) {
    auto thumbprint = jose::thumbprint_digest(transport_);
    if (!thumbprint)
      return fail(thumbprint.failure());
    const auto binding = attestation::quote_binding(c.nonce, *thumbprint);
    ask_tpm<quote_made>(make_quote{to_bytes(binding)}, [this, ticket = c.ticket](quote_made q) {
      evidence e;
      e.host = given_.host;
      e.ticket = ticket;
      e.ak_certificate = ak_certificate_;
      e.quote = std::move(q.quote);
      e.signature = std::move(q.signature);
      e.pcrs = std::move(q.pcrs);
      e.event_log = std::move(q.event_log);
      e.transport_key = transport_.spki_der();
      auto body = gateway::encode_evidence(e);
      if (!body)
        return fail(body.failure());
      post(services_->attestation, "/attestation/v1/tokens", *std::move(body), {},
           expect<attestation_granted>(gateway::decode_attestation_granted,
                                       [this](attestation_granted g) { granted(std::move(g)); }));
    });
  }

  void granted(attestation_granted g) {
    const auto now = given_.now();
    if (g.expires <= now)
      return fail(make_error(errc::token_invalid, "the token had expired when it came: compare the "
                                                  "clocks of host and node"));
    busy_ = false;
    failures_ = 0;
    token_ = std::move(g.token);
    token_expires_ = g.expires;
    status_.state = "attested";
    status_.image = g.image;
    status_.image_version = g.image_version;
    status_.token_expires = g.expires;
    status_.last_attested = now;
    status_.error.clear();
    status_.check.clear();
    status_.pcr.reset();
    status_.event.reset();
    schedule(refresh_at(now, g.expires, crypto::random_bytes(1)[0]) - now);
    settle();
  }

  // ---- keys

  caf::result<key_ready> ask_for_key(const request_key& r) {
    if (!is_object_name(r.provider)) // it becomes part of a path
      return to_caf(field_error(errc::invalid_argument, "/provider",
                                "expected the name of a trusted key provider"));
    if (!services_ || services_->keys.empty())
      return to_caf(make_error(errc::unavailable, "no key service is configured on this host"));
    if (token_.empty() || token_expires_ <= given_.now()) {
      auto e = make_error(errc::unavailable,
                          "the host is not attested: " +
                              (status_.error.empty() ? "no attempt has ended yet" : status_.error));
      e.check = status_.check;
      e.pcr = status_.pcr;
      e.event = status_.event;
      return to_caf(std::move(e));
    }
    const bool generate = r.ciphertext.empty();
    const auto path = "/keys/v1/providers/" + r.provider + (generate ? "/generate" : "/decrypt");
    auto body = generate ? gateway::encode_generate(r.key_bytes, r.context)
                         : gateway::encode_decrypt(r.ciphertext, r.context);
    auto promise = make_response_promise<key_ready>();
    post(services_->keys, path, std::move(body), {{"Authorization", "Bearer " + token_}},
         [this, promise, token = token_](result<http::response> answer) mutable {
           release(std::move(answer), promise, token);
         });
    return promise;
  }

  static void refuse(caf::typed_response_promise<key_ready>& promise, caf::error e) {
    promise.deliver(std::move(e));
  }

  void release(result<http::response> answer, caf::typed_response_promise<key_ready>& promise,
               const std::string& token) {
    if (!answer)
      return refuse(promise, to_caf(answer.failure()));
    if (answer->status != 200) {
      auto e = http::error_of(*answer);
      const bool refused = e.code == errc::token_invalid || e.code == errc::unauthenticated;
      if (refused && token == token_) {
        token_.clear(); // the gate no longer takes it: attest anew
        schedule(0);
      }
      return refuse(promise, to_caf(std::move(e)));
    }
    auto released = gateway::decode_released(answer->body);
    if (!released)
      return refuse(promise, to_caf(released.failure()));
    auto key = jose::decrypt_ecdh_es_a256kw(transport_, released->jwe);
    if (!key)
      return refuse(promise, to_caf(key.failure()));
    promise.deliver(key_ready{std::make_shared<const crypto::secret_bytes>(*std::move(key)),
                              std::move(released->ciphertext)});
  }

  agent_dependencies given_;
  std::optional<host_services> services_;
  std::shared_ptr<http::client> client_;
  crypto::key transport_;
  bytes ak_certificate_;
  std::string token_;
  std::int64_t token_expires_ = 0;
  host_status status_;
  std::vector<caf::typed_response_promise<host_status>> waiting_;
  std::size_t preferred_ = 0;
  std::uint32_t failures_ = 0;
  std::uint64_t attempt_ = 0;
  std::uint64_t timer_ = 0;
  bool busy_ = false;
};

} // namespace

host_agent_api spawn_agent(caf::actor_system& system, agent_dependencies given) {
  return system.spawn<agent_actor>(std::move(given));
}

} // namespace custos::host
